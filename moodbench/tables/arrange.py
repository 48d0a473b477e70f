"""A finished table looked at otherwise: its rows sorted, more decimals or intervals, another caption."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from moodbench.errors import UnknownNameError, UsageError
from moodbench.metrics import METRICS
from moodbench.tables.cells import Look, Row, Table
from moodbench.tables.rivals import marked
from moodbench.types import ALL_GROUPS, MEAN

TITLE = "title"
"""To sort by the titles of the rows."""

BEST = "best"
"""To sort by the best number that each row has of the first metric."""

MOST_DECIMALS = 8
"""Results hold ten significant digits of a fraction."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._+/-]*")


def looking(table: Table, decimals: int, intervals: bool) -> Table:
    """Return a table with numbers of so many decimals, and the 95 % intervals behind them where there are any.

    Numbers that print alike share their mark, so fewer decimals can mark more of them.
    """
    if not 0 <= decimals <= MOST_DECIMALS or isinstance(decimals, bool) or not isinstance(decimals, int):
        raise UsageError(f"decimals cannot be {decimals}", fix=f"give a number from 0 to {MOST_DECIMALS}")
    table = replace(table, look=Look(decimals, intervals))
    rows = marked(table).rows
    notes = table.footnotes
    if intervals:
        if not any(column.keys.get("metric") == "auroc" for column in table.columns):
            raise UsageError("only AUROC has an interval, and it is not shown", fix="add --metric auroc")
        there = any(cell.low is not None for row in rows for cell in row.cells)
        said = "[…, …] is the 95 % interval of an AUROC" if there else "no interval is known of these means"
        notes = (said, *(note for note in notes if not note.startswith("95 % intervals reach")))
    return replace(table, rows=rows, footnotes=notes)


def known_orders(tables: Sequence[Table]) -> list[str]:
    """Return by what the rows of some of these tables can be sorted."""
    names = [name for table in tables for column in table.columns for name in _names(column.keys)]
    return list(dict.fromkeys([TITLE, BEST, *names]))


def in_order(tables: Sequence[Table], by: str) -> list[Table]:
    """Return tables with their rows sorted, the best first; those that have no such column stay as they are.

    Parameters
    ----------
    tables : sequence of Table
    by : str
        ``title``; ``best``, the best number of a row; or a column: the name of its model, score, OOD dataset or group,
        or ``mean``. It is of the first metric shown, or of one that follows a colon: ``mean:fpr95``.

    Raises
    ------
    UnknownNameError
        No table has such a column.
    """
    name, colon, metric = by.rpartition(":")
    if not colon or metric not in METRICS:  # names of models may hold colons
        name, metric = by, ""
    known = known_orders(tables)
    if name not in known:
        raise UnknownNameError("column to sort by", name, known, plural="columns to sort by")
    sorts = [_sorted(table, name, metric) for table in tables]
    if all(one is None for one in sorts):
        shown = sorted({column.keys["metric"] for table in tables for column in table.columns})
        raise UnknownNameError("metric to sort by", metric, shown, plural="metrics to sort by")
    return [table if one is None else one for table, one in zip(tables, sorts, strict=True)]


def captioned(tables: Sequence[Table], caption: str | None, label: str | None) -> list[Table]:
    """Return the only table with another caption or label.

    Raises
    ------
    UsageError
        There are several tables, or nothing can be called so.
    """
    if caption is None and label is None:
        return list(tables)
    given = " and ".join(n for n, value in (("--caption", caption), ("--label", label)) if value is not None)
    if len(tables) > 1:
        raise UsageError(
            f"{given} would be of {len(tables)} tables at once: {'; '.join(table.title for table in tables)}",
            fix="choose one of them with --benchmark and --layout",
        )
    if caption is not None and not caption.strip():
        raise UsageError("--caption cannot be empty", fix="leave it out, or say what the table shows")
    if label is not None and not _LABEL.fullmatch(label):
        raise UsageError(
            f"--label cannot be '{label}'", fix="use ASCII letters, digits and : . _ + / -, as in tab:main"
        )
    return [replace(t, title=caption if caption is not None else t.title, label=label or t.label) for t in tables]


def _names(keys: object) -> list[str]:
    """Return what a column can be called by."""
    assert isinstance(keys, dict)
    if "model" in keys:
        return [keys["model"]]
    if "score" in keys:
        return [f"{keys['score']} {keys['params']}".strip(), keys["score"]]
    if "ood" not in keys:
        return []
    return [keys["group"] if keys["group"] != ALL_GROUPS else MEAN] if keys["ood"] == MEAN else [keys["ood"]]


def _sorted(table: Table, name: str, metric: str) -> Table | None:
    """Return the table in the order of a column; None where it has none of that name and metric."""
    metrics = [column.keys["metric"] for column in table.columns if "metric" in column.keys]
    wanted = metric or (metrics[0] if metrics else "")
    if name == TITLE:
        return _in_order(table, lambda row: row.title.casefold())
    of = [
        i
        for i, column in enumerate(table.columns)
        if column.keys.get("metric") == wanted and (name == BEST or name in _names(column.keys))
    ]
    if not of:
        return None
    up = METRICS[wanted].better == "lower"

    def place(row: Row) -> tuple[bool, float]:
        numbers = [value for i in of if isinstance(value := row.cells[i].value, int | float)]
        if not numbers:
            return True, 0.0  # behind all that have one
        return False, min(numbers) if up else -max(numbers)

    return _in_order(table, place)


def _in_order(table: Table, key: Callable[[Row], tuple[bool, float] | str]) -> Table:
    """Return a table with its rows sorted: within their blocks where these are compared with themselves alone."""
    if table.rivals != "block":
        return replace(table, rows=tuple(sorted(table.rows, key=key)), blocks=False)
    blocks = list(dict.fromkeys(row.block for row in table.rows))
    rows = sorted(table.rows, key=key)
    return replace(table, rows=tuple(sorted(rows, key=lambda row: blocks.index(row.block))))
