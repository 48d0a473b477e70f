"""A table with a column for each OOD dataset, as papers print them → a number a line, as `sheet` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from moodbench.comparison.reference import METRICS
from moodbench.errors import ResultsError

ROW = ("benchmark", "model", "score")
"""What a line of such a table is of."""

KEPT = (*ROW, "pretext", "family", "params", "unit", "metric", "source", "paper", "note")
"""Columns that are none of an OOD dataset."""

Lines = list[tuple[int, list[str]]]

_METRIC = re.compile(rf"[\s_:/,-]*\(?({'|'.join(METRICS)})\)?(_percent|[\s_]*\(?%\)?)?[\s↑↓]*$", re.IGNORECASE)


def is_wide(heads: Sequence[str]) -> bool:
    """Say whether a table has columns named after OOD datasets, and none that names the dataset of a line."""
    names = {head.lower() for head in heads}
    numbers = {"value", *METRICS, *(f"{name}_percent" for name in METRICS)}
    return {*ROW} <= names and not names & {"ood", *numbers} and bool(names - {*KEPT})


def lengthened(heads: Sequence[str], body: Lines, file: Path) -> tuple[list[str], Lines]:
    """Return columns and lines of the same table with a number a line; empty cells are none.

    The head of a column is an OOD dataset, or ``mean``; with a metric behind it (``Textures AUROC``), unless a column
    ``metric`` says it for the line.

    Raises
    ------
    ResultsError
        The metric of a column is not said, or said twice; two columns are of the same numbers; a line has too many or
        too few cells.
    """
    kept = [place for place, head in enumerate(heads) if head.lower() in KEPT]
    by_line = "metric" in {heads[place].lower() for place in kept}
    columns: dict[int, tuple[str, str, str]] = {}
    for place, head in enumerate(heads):
        if place not in kept:
            columns[place] = _column(head, by_line, file)
    for place, column in columns.items():
        same = [heads[other] for other, one in columns.items() if other > place and _same(one, column)]
        if same:
            what = f"the columns '{heads[place]}' and '{same[0]}' of the reference are of the same numbers"
            raise ResultsError(what, file=file, fix="rename or remove one")
    names = [heads[place].lower() for place in kept]
    added = ["ood", "value", *([] if by_line else ["metric"]), *([] if "unit" in names else ["unit"])]
    return [*names, *added], list(_lines(body, len(heads), kept, columns, added, file))


def _lines(
    body: Lines, width: int, kept: list[int], columns: dict[int, tuple[str, str, str]], added: list[str], file: Path
) -> Iterator[tuple[int, list[str]]]:
    for line, cells in body:
        if len(cells) != width:
            what = f"line {line} of the reference has {len(cells)} cells, and there are {width} columns"
            raise ResultsError(what, file=file, fix="correct that line")
        for place, (ood, metric, unit) in columns.items():
            if cells[place]:
                new = {"ood": ood, "value": cells[place], "metric": metric, "unit": unit}
                yield line, [*(cells[one] for one in kept), *(new[name] for name in added)]


def _column(head: str, by_line: bool, file: Path) -> tuple[str, str, str]:
    """Return OOD dataset, metric and unit of a column; the last two are empty where it does not say them."""
    found = _METRIC.search(head)
    ood = head[: found.start()].strip() if found else head.strip()
    if found and by_line:
        what = f"a column 'metric' of the reference says the metric of each line, and the column '{head}' says its own"
        raise ResultsError(what, file=file, fix="remove one of the two")
    if not found and not by_line:
        raise ResultsError(
            f"the reference does not say which metric its column '{head}' holds",
            file=file,
            fix=f"call it '{head} AUROC' or '{head} FPR95', or add a column 'metric'; without columns of OOD datasets "
            "the table needs a column 'ood'",
        )
    if not ood:
        raise ResultsError(f"the column '{head}' of the reference names no OOD dataset", file=file, fix="add its name")
    return ood, (found[1].lower() if found else ""), ("percent" if found and found[2] else "")


def _same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    return (one[0].lower(), one[1]) == (other[0].lower(), other[1])
