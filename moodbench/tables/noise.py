"""What wrong labels of ID train cost each score: its metric with right labels, and the difference for every share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from moodbench.errors import ResultsError, UnknownNameError
from moodbench.metrics import METRICS
from moodbench.params import without_noise
from moodbench.tables.cells import Cell, Column, Row, Table
from moodbench.tables.order import NO_TITLES, Titles, models_in_order, series_in_order
from moodbench.types import ALL_GROUPS, MEAN, Result

Key = tuple[str, str, str]


def none_noisy() -> ResultsError:
    """Return what is wrong where there is nothing to compare."""
    return ResultsError(
        "no score was run with wrong labels", fix="moodbench score --label-noise 0.1 with the same --benchmark"
    )


def label_noise(
    results: Sequence[Result],
    *,
    metric: str = "auroc",
    group: str = ALL_GROUPS,
    titles: Titles = NO_TITLES,
    title: str | None = None,
) -> Table:
    """Return the table of losses: scores × models, in each the value with right labels and what the shares change.

    Parameters
    ----------
    results : sequence of Result
        All rows of one benchmark, with and without wrong labels.
    metric : str
        A name from `moodbench.metrics.METRICS`.
    group : str
        The OOD group whose mean is compared.

    Raises
    ------
    ResultsError
        No score was run with wrong labels.
    UnknownNameError
        There is no such metric or group.
    """
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    groups = {row.group for row in results} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
    clean: dict[Key, Result] = {}
    noisy: dict[Key, dict[float, Result]] = {}
    for row in results:
        if (row.ood, row.group) == (MEAN, group):
            params, share = without_noise(row.params)
            if share is None:
                clean[row.model, row.score, row.params] = row
            else:
                noisy.setdefault((row.model, row.score, params), {})[share] = row
    if not noisy:
        raise none_noisy()
    under = [replace(row, params=key[2]) for key, rows in noisy.items() for row in rows.values()]
    shares = sorted({share for rows in noisy.values() for share in rows})
    models = models_in_order(under, titles)
    how = METRICS[metric]
    columns = []
    for model in models:
        keys = {"pretext": model.pretext, "model": model.name, "metric": metric, "ood": MEAN, "group": group}
        head = (model.pretext, model.title)
        columns.append(Column((*head, how.heading), keys, how.better))
        columns += [
            Column((*head, f"{100 * share:g} % wrong"), keys | {"metric": f"{metric}_change_{share:g}"})
            for share in shares
        ]
    rows = []
    for series in series_in_order(under, titles):
        cells: list[Cell] = []
        for model in models:
            key = (model.name, series.score, series.params)
            cells += _cells(clean.get(key), noisy.get(key, {}), shares, metric)
        keys = {"benchmark": results[0].benchmark, "score": series.score, "params": series.params}
        rows.append(Row(series.family, series.title, tuple(cells), series.family, keys))
    benchmark = results[0].benchmark
    name = title or f"{benchmark}: what wrong labels of ID train cost, {how.label}"
    return Table(name, ("family", "score"), tuple(columns), tuple(rows), tuple(_notes(under, how.label)))


def _cells(clean: Result | None, noisy: dict[float, Result], shares: Sequence[float], metric: str) -> list[Cell]:
    value = None if clean is None else getattr(clean, metric)
    low, high = (clean.auroc_low, clean.auroc_high) if clean is not None and metric == "auroc" else (None, None)
    cells = [Cell(value, low=low, high=high, note="" if value is not None else "no result with right labels")]
    for share in shares:
        row = noisy.get(share)
        found = None if row is None else getattr(row, metric)
        if value is None or found is None:
            cells.append(Cell(note="not run" if row is None else row.note))
        else:
            spread = getattr(row, f"{metric}_seed_sd", None)
            seeds = None if spread is None or row is None else row.seeds
            cells.append(Cell(found - value, spread=spread, seeds=seeds, signed=True))
    return cells


def _notes(rows: Sequence[Result], label: str) -> list[str]:
    draws = sorted({row.seeds or 1 for row in rows})
    many = "one draw" if draws == [1] else f"the mean over {draws[-1]} draws, ± its standard deviation over them"
    meaning = (
        f"x % wrong: the change of {label}, in points, where that share of the labels of ID train is another class, "
        f"each as likely; {many}"
    )
    return [meaning, "Scores that do not read labels of ID train are the same with any, and are left out"]
