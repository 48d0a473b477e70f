"""What differs between two folders of results, with the inputs that differ: in words, as a table, as records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodbench.comparison.causes import causes
from moodbench.comparison.reference import place_of
from moodbench.metrics import METRICS
from moodbench.results.differences import ROW, Difference, differences
from moodbench.tables.cells import Cell, Column, Row, Table
from moodbench.tables.formats.text import plain_within
from moodbench.tables.marks import printed, signed
from moodbench.tables.notebooks import InNotebooks, frame_of
from moodbench.tables.order import NO_TITLES, Titles
from moodbench.types import Result

if TYPE_CHECKING:
    from pandas import DataFrame

Side = tuple[str, Sequence[Result], Mapping[tuple[str, str], Mapping[str, Any]]]
"""What a folder is called, its rows, and their provenance by benchmark and model."""


@dataclass(frozen=True, repr=False)
class Changes(InNotebooks):
    """What differs between two results.

    Attributes
    ----------
    a, b : str
        What they are called.
    compared : int
        Rows that either has.
    found : tuple of Difference
    notes : tuple of str
        For each of `found` why: inputs that differ, or the side that has the row.
    tolerance : float
        By which fractions may differ.
    titles : Titles
    """

    a: str
    b: str
    compared: int
    found: tuple[Difference, ...]
    notes: tuple[str, ...]
    tolerance: float = 0.0
    titles: Titles = NO_TITLES

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.found)

    def __str__(self) -> str:
        return self.text()

    def answer(self) -> str:
        """Return the outcome in one sentence."""
        within = f" by more than {100 * self.tolerance:g} points" if self.tolerance else ""
        rows = f"{self.compared} row" + ("" if self.compared == 1 else "s")
        if not self.found:
            return f"Nothing differs{within}: {rows} in {self.a} and {self.b}."
        differing = len({id(one.row) for one in self.found})
        text = f"{differing} of {rows} differ{'s' if differing == 1 else ''}{within} between {self.a} and {self.b}"
        only_a, only_b = sum(one.b is None for one in self.found), sum(one.a is None for one in self.found)
        numbers = [one for one in self.found if one.difference is not None]
        worst = max(numbers, key=lambda one: abs(one.difference or 0.0), default=None)
        if worst is not None:
            row = worst.row
            ood = self.titles.datasets.get(row.ood, place_of(row))
            where = f"{_score(row, self.titles)} on {self.titles.model(row.model)}, {row.benchmark}, {ood}"
            text += f"; the largest difference is {signed(worst.difference or 0.0)} points of {_label(worst)} ({where})"
        return text + _only(only_a, self.a) + _only(only_b, self.b) + "."

    def readable(self) -> list[Table]:
        """Return the table of `table`; where nothing differs it has no rows."""
        return [self.table()]

    def to_frame(self) -> DataFrame:
        """Return `records` in pandas."""
        return frame_of(self.records())

    def records(self) -> list[dict[str, Any]]:
        """Return a record for each difference; metrics are fractions, and so is their difference ``b - a``."""
        return [
            {
                **{key: getattr(one.row, key) for key in ("benchmark", "model", "score", "params", "ood", "group")},
                "metric": "auroc" if one.field == ROW else one.field,
                "a": one.value(one.a),
                "b": one.value(one.b),
                "difference": one.difference,
                "note": note,
            }
            for one, note in zip(self.found, self.notes, strict=True)
        ]

    def json(self) -> str:
        """Return `records` as a JSON array."""
        return json.dumps(self.records(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def text(self, width: int | None = None) -> str:
        """Return the answer, then every difference in a table whose lines have at most `width` letters."""
        return plain_within([self.table()], width) if self.found else self.answer() + "\n"

    def table(self) -> Table:
        """Return a table with a row for each difference."""
        numbers = {note: str(i) for i, note in enumerate(dict.fromkeys(filter(None, self.notes)), 1)}
        columns = [
            Column(("OOD",), {"metric": "ood"}, kind="text"),
            Column(("what",), {"metric": "metric"}, kind="text"),
            *(Column((name,), {"metric": name}) for name in ("A", "B", "points")),
            *([Column(("note",), {"metric": "note"}, kind="text")] if numbers else []),
        ]
        rows = []
        for one, note in zip(self.found, self.notes, strict=True):
            cells = [
                Cell(self.titles.datasets.get(one.row.ood, place_of(one.row))),
                Cell(_label(one)),
                *(Cell(_shown(one, side)) for side in (one.a, one.b)),
                Cell("" if one.difference is None else one.difference, signed=True),
                *([Cell(numbers.get(note, ""))] if numbers else []),
            ]
            block = f"{self.titles.model(one.row.model)}, {one.row.benchmark}"
            rows.append(Row(block, _score(one.row, self.titles), tuple(cells)))
        feet = [f"A: {self.a}", f"B: {self.b}", *(f"{number}: {note}" for note, number in numbers.items())]
        return Table(self.answer(), ("model", "score"), tuple(columns), tuple(rows), tuple(feet))


def changes(a: Side, b: Side, tolerance: float = 0.0, titles: Titles = NO_TITLES) -> Changes:
    """Return what differs between two results by more than a fraction."""
    (name_a, rows_a, noted_a), (name_b, rows_b, noted_b) = a, b
    found = differences(rows_a, rows_b, tolerance)
    why: dict[int, str] = {}  # of a row: it has many fields
    notes = []
    for one in found:
        if one.a is None or one.b is None:
            notes.append(f"only in {name_b if one.a is None else name_a}")
            continue
        key = (one.row.benchmark, one.row.model)
        if id(one.a) not in why:
            why[id(one.a)] = causes(noted_a.get(key, {}), noted_b.get(key, {}), one.a, one.b)
        notes.append(why[id(one.a)])
    every = {(row.benchmark, row.model, *row.key) for rows in (rows_a, rows_b) for row in rows}
    return Changes(name_a, name_b, len(every), tuple(found), tuple(notes), tolerance, titles)


def _label(one: Difference) -> str:
    if one.field == ROW:
        return METRICS["auroc"].label
    return METRICS[one.field].label if one.field in METRICS else one.field


def _shown(one: Difference, side: Result | None) -> str:
    """Return a value as a text: fractions in percent with as many decimals as tell the two apart."""
    value = one.value(side)
    if not isinstance(value, float):
        return "—" if value is None or value == "" else str(value)
    both = [v for v in (one.value(one.a), one.value(one.b)) if isinstance(v, float)]
    decimals = next((n for n in range(2, 9) if len(both) < 2 or printed(both[0], n) != printed(both[1], n)), 8)
    return printed(value, decimals)


def _score(row: Result, titles: Titles) -> str:
    return f"{titles.scores.get(row.score, row.score)} {row.params}".strip()


def _only(many: int, name: str) -> str:
    return f"; {many} {'is' if many == 1 else 'are'} only in {name}" if many else ""
