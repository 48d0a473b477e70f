"""Tables in which every cell is marked that is not significantly worse than the best that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

from moodbench.evaluation.kept import kept_params, kept_rows
from moodbench.metrics import METRICS
from moodbench.standings.judge import COMPARED, LEVEL, judged
from moodbench.standings.measuring import Wanted, measured
from moodbench.tables.cells import Table
from moodbench.tables.entrants import Pair
from moodbench.tables.footnotes import NOT_WORSE
from moodbench.tables.rivals import rivals_of
from moodbench.workspace import Workspace

_FAMILY = {"column": "column", "row": "row", "block": "column within its block"}

Place = tuple[int, int]
"""A row and a column."""


def with_significance(space: Workspace, table: Table) -> Table:
    """Return a table of results in which cells say whether they are worse than the best of their column or row.

    Compared is what the table marks the best of, where that is on the same images. Controls take no part, and metrics
    other than AUROC and FPR95 stay without marks.

    Raises
    ------
    ResultsError
        Row scores are missing or stale, or two models were tested on other images.
    """
    close: dict[Place, bool] = {}
    read = cache(partial(kept_rows, space))  # columns are of the same models
    apart = False
    for better, places in rivals_of(table):
        its = {place: _keys(table, place) for place in places if _competes(table, place)}
        if better is None or len(its) < 2:
            continue
        tests = {(keys["benchmark"], keys["group"], keys["ood"], keys["metric"]) for keys in its.values()}
        if len(tests) > 1:
            apart = True
            continue
        ((benchmark, group, ood, metric),) = tests
        if metric in COMPARED:
            of = {Pair(keys["model"], keys["score"], kept_params(keys["params"])): at for at, keys in its.items()}
            (means,) = measured(space, [Wanted(benchmark, list(of), group, ood)], metric, read)
            close |= {of[pair]: one.not_worse for pair, one in judged(means, better).items()}
    rows = (
        replace(row, cells=tuple(replace(cell, not_worse=close.get((j, i))) for i, cell in enumerate(row.cells)))
        for j, row in enumerate(table.rows)
    )
    shown = {column.keys.get("metric", "") for column in table.columns}
    return replace(table, rows=tuple(rows), footnotes=(*_said(shown, table, apart), *table.footnotes))


def _keys(table: Table, place: Place) -> Mapping[str, str]:
    return {**table.rows[place[0]].keys, **table.columns[place[1]].keys}


def _competes(table: Table, place: Place) -> bool:
    row = table.rows[place[0]]
    return isinstance(row.cells[place[1]].value, float) and not row.control


def _said(metrics: set[str], table: Table, apart: bool) -> list[str]:
    if apart:
        return [f"Significance is not tested here: a {table.rivals} holds numbers of different images"]
    how = {"auroc": "DeLong's paired test for AUROC", "fpr95": "a paired bootstrap of the images for FPR95"}
    tests = " and ".join(words for metric, words in how.items() if metric in metrics)
    others = [METRICS[metric].label for metric in METRICS if metric in metrics and metric not in COMPARED]
    untested = f"; {', '.join(others)} not tested" if others else ""
    if not tests:
        return [f"Significance is known of AUROC and FPR95 alone{untested}"]
    said = (
        f"{NOT_WORSE} not significantly worse than the best of its {_FAMILY[table.rivals]} on the same images: "
        f"{tests}, p ≥ {LEVEL} after Holm's adjustment for all pairs of the {table.rivals}{untested}"
    )
    return [said]
