"""Tables in which every cell is marked that is not significantly worse than the best of its column."""

from __future__ import annotations

from dataclasses import replace

from moodbench.evaluation.kept import kept_params
from moodbench.metrics import METRICS
from moodbench.standings.judge import COMPARED, LEVEL, judged
from moodbench.standings.measuring import Wanted, measured
from moodbench.tables.entrants import Pair
from moodbench.tables.footnotes import NOT_WORSE
from moodbench.tables.grid import Table
from moodbench.workspace import Workspace


def with_significance(space: Workspace, table: Table) -> Table:
    """Return a table of results in which cells say whether they are worse than the best of their column.

    Controls take no part, and metrics other than AUROC and FPR95 stay without marks.

    Raises
    ------
    ResultsError
        Row scores are missing or stale, or two models were tested on other images.
    """
    rows = [list(row.cells) for row in table.rows]
    for at, column in enumerate(table.columns):
        metric = column.keys.get("metric", "")
        if metric not in COMPARED:
            continue
        places: dict[Pair, int] = {}
        benchmark = ""
        for number, row in enumerate(table.rows):
            if isinstance(row.cells[at].value, float) and not row.control:
                keys = {**row.keys, **column.keys}
                places[Pair(keys["model"], keys["score"], kept_params(keys["params"]))] = number
                benchmark = keys["benchmark"]
        if len(places) < 2:
            continue
        wanted = Wanted(benchmark, list(places), column.keys["group"], column.keys["ood"])
        (means,) = measured(space, [wanted], metric)
        better = column.better
        assert better is not None  # of the two metrics
        for pair, one in judged(means, better).items():
            rows[places[pair]][at] = replace(rows[places[pair]][at], not_worse=one.not_worse)
    shown = {column.keys.get("metric", "") for column in table.columns}
    made = (replace(row, cells=tuple(cells)) for row, cells in zip(table.rows, rows, strict=True))
    return replace(table, rows=tuple(made), footnotes=(*_said(shown), *table.footnotes))


def _said(metrics: set[str]) -> list[str]:
    how = {"auroc": "DeLong's paired test for AUROC", "fpr95": "a paired bootstrap of the images for FPR95"}
    tests = " and ".join(words for metric, words in how.items() if metric in metrics)
    others = [METRICS[metric].label for metric in METRICS if metric in metrics and metric not in COMPARED]
    untested = f"; {', '.join(others)} not tested" if others else ""
    if not tests:
        return [f"Significance is known of AUROC and FPR95 alone{untested}"]
    said = (
        f"{NOT_WORSE} not significantly worse than the best of its column on the same images: {tests}, "
        f"p ≥ {LEVEL} after Holm's adjustment for all pairs of the column{untested}"
    )
    return [said]
