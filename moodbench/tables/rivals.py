"""The best and the second-best number of those that are compared, marked; and the best of a whole table in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from moodbench.metrics import METRICS, Better
from moodbench.tables.cells import Row, Table
from moodbench.tables.marks import Mark, ranks

MOST_WINNERS = 3
"""Pairs with the best number that are named; a small trial can have hundreds."""


def marked(table: Table) -> Table:
    """Return a table with the best and the second-best number marked of each column, or as its `rivals` say."""
    marks: dict[tuple[int, int], Mark] = {}
    for better, places in rivals_of(table):
        values = [_rival(table.rows[j], i) for j, i in places]
        marks |= zip(places, ranks(values, better, table.look.decimals), strict=True)
    rows = (
        replace(row, cells=tuple(replace(cell, mark=marks[j, i]) for i, cell in enumerate(row.cells)))
        for j, row in enumerate(table.rows)
    )
    return replace(table, rows=tuple(rows))


def rivals_of(table: Table) -> Iterator[tuple[Better | None, list[tuple[int, int]]]]:
    """Yield the places, row and column, of numbers that are compared with each other, and what is better there."""
    if table.rivals == "row":
        for j in range(len(table.rows)):
            of: dict[tuple[str, Better | None], list[tuple[int, int]]] = {}
            for i, column in enumerate(table.columns):
                of.setdefault((column.keys.get("metric", ""), column.better), []).append((j, i))
            yield from ((better, places) for (_, better), places in of.items())
        return
    for i, column in enumerate(table.columns):
        blocks: dict[str, list[tuple[int, int]]] = {}
        for j, row in enumerate(table.rows):
            blocks.setdefault(row.block if table.rivals == "block" else "", []).append((j, i))
        yield from ((column.better, places) for places in blocks.values())


def _rival(row: Row, column: int) -> float | str | None:
    """Return the value that competes for the best of a column: controls have none."""
    return None if row.control else row.cells[column].value


def winners(table: Table) -> list[str]:
    """Return the best pair of score and model of the first metric in words; of a single model the mark says it already.

    Of a table with scores down and models across, or the other way round.
    """
    metric = table.columns[0].keys["metric"]
    chosen = [i for i, column in enumerate(table.columns) if column.keys["metric"] == metric]
    competing = [i for i in chosen if table.columns[i].better is not None]  # not a column of a control
    pairs = [(row, i) for row in table.rows for i in competing]
    marks = ranks([_rival(row, i) for row, i in pairs], METRICS[metric].better)
    across = "model" in table.columns[0].keys
    if (len(chosen) if across else len(table.rows)) < 2:
        return []
    best = []
    for (row, i), mark in zip(pairs, marks, strict=True):
        if mark == "best":
            over = table.columns[i].heading[1]
            best.append(f"{row.title} on {over}" if across else f"{over} on {row.title}")
    if not best:
        return []
    more = f" and {len(best) - MOST_WINNERS} more" if len(best) > MOST_WINNERS else ""
    return [f"Best {METRICS[metric].label} of the table: {', '.join(best[:MOST_WINNERS])}{more}"]
