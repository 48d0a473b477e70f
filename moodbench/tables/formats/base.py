"""What table formats share: the registry, and cells as text. Percent with two decimals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from moodbench.errors import UsageError
from moodbench.registry import Registry
from moodbench.tables.cells import LOOK, Cell, Column, Look, Row, Table
from moodbench.tables.footnotes import EMPTY, NOT_WORSE
from moodbench.tables.marks import printed, signed, width_of

Format = Callable[[Sequence[Table]], str]
"""Takes several tables, and returns text that ends with LF."""

FORMATS: Registry[Format] = Registry("table format", package="moodbench.tables.formats")


SUFFIXES: Registry[Format] = Registry("suffix", package="moodbench.tables.formats")
"""The suffix of files → what writes them, for formats that have one."""


def format_of(file: Path) -> str:
    """Return the name of the format that the suffix of a file says; where it says none, raise a `UsageError`."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"the name '{file.name}' says no table format",
            fix=f"end it in one of {', '.join(sorted(SUFFIXES))}, or name a --format",
        )
    wanted = SUFFIXES.get(suffix)
    return next(name for name in FORMATS if FORMATS.get(name) is wanted)


def text_of(cell: Cell, look: Look = LOOK) -> str:
    """Return what people read in a cell."""
    if cell.value is None:
        return EMPTY
    if isinstance(cell.value, str):
        return cell.value
    spread = "" if cell.spread is None else f" ±{width_of(cell.spread, look.decimals)}"
    close = NOT_WORSE if cell.not_worse and cell.mark != "best" else ""
    return close + (signed(cell.value) if cell.signed else printed(cell.value, look.decimals)) + spread


def interval_of(cell: Cell, look: Look) -> str:
    """Return the interval that follows the text of a cell, or nothing where none is shown or known."""
    if not look.intervals or cell.low is None or cell.high is None:
        return ""
    return f"[{printed(cell.low, look.decimals)}, {printed(cell.high, look.decimals)}]"


def legend_of(table: Table, best: str, second: str) -> list[str]:
    """Return what marks mean, where there are any: how the best and the second best are written."""
    marks = any(cell.mark for row in table.rows for cell in row.cells)
    of = {"column": "each column", "row": "each row", "block": "each column, within a block"}[table.rivals]
    return [f"Percent; {best} and {second} of {of}."] if marks else []


def flat(text: str) -> str:
    """Return text on one line."""
    return " ".join(text.split())


def sides_of(table: Table) -> list[str]:
    """Return for each column, those of the stub first, whether it stands left or right."""
    return ["left", "left", *("left" if column.kind == "text" else "right" for column in table.columns)]


def body_of(table: Table, shown: Callable[[Cell], str], escape: Callable[[str], str]) -> list[list[str]]:
    """Return the cells as text, the title of a block only in its first row; in each row where rows have no blocks."""
    lines = []
    for rows in blocks_of(table):
        for number, row in enumerate(rows):
            named = not number or not table.blocks
            lines.append([escape(row.block) if named else "", escape(row.title), *map(shown, row.cells)])
    return lines


def blocks_of(table: Table) -> Iterator[tuple[Row, ...]]:
    """Yield the rows of each block; all at once where they stand in none."""
    if not table.blocks:
        yield table.rows
        return
    for _, rows in groupby(table.rows, key=lambda row: row.block):
        yield tuple(rows)


def spans_of(columns: Sequence[Column], level: int) -> list[tuple[str, int]]:
    """Return the headings of one level with the number of columns below each."""
    groups = groupby(columns, key=lambda column: column.heading[: level + 1])
    return [(heading[-1], len(list(members))) for heading, members in groups]


def places_of(headings: list[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
    """Yield heading, index of its first column (after the two of the stub) and number of columns."""
    at = 2
    for heading, width in headings:
        yield heading, at, width
        at += width
