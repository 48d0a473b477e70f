"""A comparison as text: tables for people in every format of `moodbench table`, records for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from textwrap import wrap
from typing import Any

from moodbench.comparison.reference import Compared, Comparison
from moodbench.comparison.words import answer, missing
from moodbench.metrics import METRICS
from moodbench.sheets import exact_line, shown_line
from moodbench.tables.formats.base import FORMATS, flat
from moodbench.tables.formats.text import PLAIN, escape_markdown, plain_within
from moodbench.tables.grid import Cell, Column, Row, Table
from moodbench.tables.order import NO_TITLES, Titles

FIELDS = ("benchmark", "model", "score", "ood", "metric", "ours", "theirs", "difference", "inside", "note")
"""Of a record for programs."""

_INSIDE = {True: "yes", False: "no", None: ""}


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a record for each row, numbers as fractions; a score names its parameters where it occurs with several."""
    return [
        {name: value for name, value in asdict(row).items() if name in FIELDS} | {"score": score}
        for row, score in zip(comparison.rows, _scores(comparison.rows), strict=True)
    ]


def as_text(comparison: Comparison, format: str, *, width: int | None = None, titles: Titles = NO_TITLES) -> str:
    """Return a comparison in a format of `moodbench.tables.formats.base.FORMATS`.

    For people the answer in words comes first, then a table for each benchmark and metric, then what is missing. Of a
    folder of results the tables hold what differs alone.

    Parameters
    ----------
    comparison : Comparison
    format : str
    width : int, optional
        Letters that a line of the format "plain" may have.
    titles : Titles
        Display names.
    """
    render = FORMATS.get(format)
    if format == "json":
        return json.dumps(records(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if format == "csv":
        return _csv(comparison)
    if format == "html":
        return render(tables_with_words(comparison, titles))
    tables, first, last = (
        _tables(comparison, titles),
        flat(answer(comparison, titles)),
        [*map(flat, missing(comparison))],
    )
    if format == "latex":
        comments = [f"% {line}" for line in (first, *last)]
        return "\n".join([_ascii(line) for line in comments]) + "\n" + (render(tables) if tables else "")
    if format == PLAIN:
        shown = plain_within(tables, width) if tables else ""
        rest = ["Not compared:", *(f"- {line}" for line in last)] if last else []
        return (
            "\n".join([_folded(first, width), *(["", shown.rstrip("\n")] if shown else []), *_set(rest, width)]) + "\n"
        )
    shown = render(tables) if tables else ""
    escape = escape_markdown if format == "markdown" else str
    parts = [escape(first), shown.rstrip("\n"), "\n".join(f"- {escape(line)}" for line in last)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _set(lines: Sequence[str], width: int | None) -> list[str]:
    return ["", *(_folded(line, width) for line in lines)] if lines else []


def _folded(text: str, width: int | None) -> str:
    if width is None:
        return text
    return "\n".join(wrap(text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False))


def _ascii(text: str) -> str:
    return text.replace("→", "->").replace("±", "+-").encode("ascii", "replace").decode()


def tables_with_words(comparison: Comparison, titles: Titles = NO_TITLES) -> tuple[Table, ...]:
    """Return the tables, below the first one the answer in words and what is missing."""
    tables = _tables(comparison, titles)
    lines = [flat(answer(comparison, titles)), *map(flat, missing(comparison))]
    if not tables:
        column = Column(("what is missing",), kind="text")
        return (Table(lines[0], ("", ""), (column,), tuple(Row("", "", (Cell(line),)) for line in lines[1:])),)
    return (replace(tables[0], footnotes=(*lines, *tables[0].footnotes)), *tables[1:])


def _scores(rows: Sequence[Compared]) -> list[str]:
    """Return what each row calls its score: with parameters where one score has several in the same place."""
    several: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        several.setdefault((row.benchmark, row.model, row.score), set()).add(row.params)
    many = {key for key, params in several.items() if len(params) > 1}
    return [
        f"{row.score} {row.params}".strip() if (row.benchmark, row.model, row.score) in many else row.score
        for row in rows
    ]


def _csv(comparison: Comparison) -> str:
    lines = []
    heads = {"ours": "ours_percent", "theirs": "theirs_percent", "difference": "difference_points"}
    lines.append(exact_line(heads.get(name, name) for name in FIELDS))
    for record in records(comparison):
        cells = (
            f"{100 * record[name]:.4f}" if name in heads and record[name] is not None else record[name]
            for name in FIELDS
            if name != "inside"
        )
        given = list(cells)
        lines.append(shown_line([*given[:-1], _INSIDE[record["inside"]], given[-1]]))
    return "".join(lines)


def _tables(comparison: Comparison, titles: Titles) -> list[Table]:
    """Return a table for each benchmark and metric that has something to show."""
    shown = [row for row in comparison.rows if row.both]
    if comparison.reference.kind == "folder":
        shown = [row for row in shown if row.differs]
    shown = sorted(shown, key=lambda row: (row.benchmark, row.metric))  # stable: otherwise in the reference's order
    tables = []
    for (benchmark, metric), members in groupby(shown, key=lambda row: (row.benchmark, row.metric)):
        tables.append(_table(benchmark, metric, list(members), comparison, titles))
    return tables


def _table(benchmark: str, metric: str, rows: list[Compared], comparison: Comparison, titles: Titles) -> Table:
    how = METRICS[metric]
    order = list(dict.fromkeys(row.model for row in rows))
    rows = sorted(rows, key=lambda row: order.index(row.model))
    notes = {note: str(number) for number, note in enumerate(dict.fromkeys(row.note for row in rows if row.note), 1)}
    judged = metric == "auroc" and any(row.inside is not None for row in rows)
    columns = [
        Column(("OOD",), {"metric": "ood"}, kind="text"),
        Column(("ours",), {"metric": "ours"}),
        Column(("theirs",), {"metric": "theirs"}),
        Column(("points",), {"metric": "difference"}),
    ]
    columns += [Column(("inside",), {"metric": "inside"}, kind="text")] if judged else []
    columns += [Column(("note",), {"metric": "note"}, kind="text")] if notes else []
    made = []
    for row, score in zip(rows, _scores(rows), strict=True):
        title = titles.scores.get(row.score, row.score) + score.removeprefix(row.score)
        cells = [
            Cell(titles.datasets.get(row.ood, row.ood)),
            Cell(row.ours),
            Cell(row.theirs),
            Cell(row.difference, signed=True),
        ]
        cells += [Cell(_INSIDE[row.inside])] if judged else []
        cells += [Cell(notes.get(row.note, ""))] if notes else []
        made.append(Row(titles.model(row.model), title, tuple(cells)))
    feet = [f"{number}: {note}" for note, number in notes.items()]
    feet += ["inside: their number lies in our 95 % interval"] if judged else []
    feet += [f"{how.label}: {how.convention}"] if how.convention else []
    title = f"{benchmark}: {how.heading}, ours beside {comparison.reference.name}"
    return Table(title, ("model", "score"), tuple(columns), tuple(made), tuple(feet))
