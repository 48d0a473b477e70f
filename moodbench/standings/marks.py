"""Tables in which every cell is marked that is not significantly worse than the best of those it is compared with."""

from __future__ import annotations

from dataclasses import replace

from moodbench.evaluation.kept import kept_params
from moodbench.metrics import METRICS
from moodbench.standings.judge import COMPARED, LEVEL, judged
from moodbench.standings.measuring import Wanted, measured
from moodbench.tables.cells import Table
from moodbench.tables.entrants import Pair
from moodbench.tables.footnotes import NOT_WORSE
from moodbench.tables.rivals import rivals_of
from moodbench.workspace import Workspace


def with_significance(space: Workspace, table: Table) -> Table:
    """Return a table of results in which cells say whether they are worse than the best of their column (or row).

    Controls take no part, and metrics other than AUROC and FPR95 stay without marks.

    Raises
    ------
    ResultsError
        Row scores are missing or stale, or two models were tested on other images.
    """
    rows = [list(row.cells) for row in table.rows]
    for better, some in rivals_of(table):
        places: dict[Pair, tuple[int, int]] = {}
        keys: dict[str, str] = {}
        for j, i in some:
            row, column = table.rows[j], table.columns[i]
            compared = column.keys.get("metric", "") in COMPARED and better is not None
            if compared and isinstance(row.cells[i].value, float) and not row.control:
                keys = {**row.keys, **column.keys}
                places[Pair(keys["model"], keys["score"], kept_params(keys["params"]))] = (j, i)
        if len(places) < 2 or better is None:
            continue
        wanted = Wanted(keys["benchmark"], list(places), keys["group"], keys["ood"])
        (means,) = measured(space, [wanted], keys["metric"])
        for pair, one in judged(means, better).items():
            j, i = places[pair]
            rows[j][i] = replace(rows[j][i], not_worse=one.not_worse)
    shown = {column.keys.get("metric", "") for column in table.columns}
    made = (replace(row, cells=tuple(cells)) for row, cells in zip(table.rows, rows, strict=True))
    return replace(table, rows=tuple(made), footnotes=(*_said(shown, table.rivals), *table.footnotes))


def _said(metrics: set[str], of: str) -> list[str]:
    how = {"auroc": "DeLong's paired test for AUROC", "fpr95": "a paired bootstrap of the images for FPR95"}
    tests = " and ".join(words for metric, words in how.items() if metric in metrics)
    others = [METRICS[metric].label for metric in METRICS if metric in metrics and metric not in COMPARED]
    untested = f"; {', '.join(others)} not tested" if others else ""
    if not tests:
        return [f"Significance is known of AUROC and FPR95 alone{untested}"]
    said = (
        f"{NOT_WORSE} not significantly worse than the best of its {of} on the same images: {tests}, "
        f"p ≥ {LEVEL} after Holm's adjustment for all pairs of the {of}{untested}"
    )
    return [said]
