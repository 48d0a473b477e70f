"""Results → tables: what stands in which cell and which cell is best, without a word on how it looks.

`pivot` lays out scores, models and OOD datasets, two of them down and across. `grid` is the main view, pretext tasks ×
scores; `per_dataset` has the layout of the main table of the MOODv2 paper.
A mean that the results do not hold (an OOD dataset is missing) is an empty cell, never an average over what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from moodbench.choices import Axis
from moodbench.errors import UnknownNameError, UsageError
from moodbench.metrics import METRICS
from moodbench.tables.cells import Cell, Column, Row, Table
from moodbench.tables.footnotes import Index, Place, no_result_on
from moodbench.tables.order import (
    NO_TITLES,
    Model,
    Series,
    Titles,
    models_in_order,
    ood_in_order,
    series_in_order,
)
from moodbench.tables.rivals import marked, winners
from moodbench.types import ALL_GROUPS, MEAN, Result

__all__ = ["Cell", "Column", "Row", "Table", "grid", "per_dataset", "pivot"]

STUBS: Mapping[Axis, tuple[str, str]] = {
    "score": ("family", "score"),
    "model": ("pretext task", "model"),
    "dataset": ("group", "OOD dataset"),
}
"""What the two columns that name rows are called, where nothing else stands in the first."""


def grid(
    results: Sequence[Result],
    *,
    metric: Sequence[str] = ("auroc", "fpr95"),
    group: str = ALL_GROUPS,
    titles: Titles = NO_TITLES,
    title: str | None = None,
    expected: Mapping[str, Sequence[str]] | None = None,
) -> Table:
    """Return the pretext task × score grid of one benchmark: means over the OOD datasets of `group`.

    Parameters
    ----------
    results : sequence of Result
        All rows of one benchmark (`moodbench.results.read_all`).
    metric : sequence of str
        Names from `moodbench.metrics.METRICS`; several stand side by side.
    group : str
        ``all``, or a group of the benchmark.
    titles : Titles
        Display names and order of models and scores.
    title : str, optional
        What to call the table.
    expected : mapping, optional
        Group → OOD datasets of the benchmark; by default those that there are results of.

    Raises
    ------
    ResultsError
        There are no results.
    UsageError
        They are of several benchmarks, a metric is unknown, or no row belongs to `group`.
    """
    return pivot(results, "score", "model", metric=metric, group=group, titles=titles, title=title, expected=expected)


def per_dataset(
    results: Sequence[Result],
    model: str | None = None,
    *,
    metric: Sequence[str] = ("auroc", "fpr95"),
    titles: Titles = NO_TITLES,
    title: str | None = None,
    expected: Mapping[str, Sequence[str]] | None = None,
    datasets: Sequence[str] = (),
) -> Table:
    """Return one row per score and, for every OOD dataset, its metrics; then the average over all.

    With several groups that have more than one dataset, the average of each follows its datasets. Without `model` all
    models stand below one another and the best of a column is the best of all. Where `datasets` are named there are
    columns of those alone, and an average only where everything that it is over is shown. Parameters and errors as in
    `grid`; a model without results is an `UnknownNameError`.
    """
    return pivot(
        results,
        "score",
        "dataset",
        one=model,
        metric=metric,
        titles=titles,
        title=title,
        expected=expected,
        datasets=datasets,
    )


def pivot(
    results: Sequence[Result],
    down: Axis,
    across: Axis,
    *,
    one: str | None = None,
    metric: Sequence[str] = ("auroc", "fpr95"),
    group: str = ALL_GROUPS,
    titles: Titles = NO_TITLES,
    title: str | None = None,
    expected: Mapping[str, Sequence[str]] | None = None,
    datasets: Sequence[str] = (),
) -> Table:
    """Return a table of one benchmark with any two of scores, models and OOD datasets down and across.

    Where OOD datasets are neither, numbers are means over `group`; where models or scores are neither, rows stand in a
    block for each of them, or the table is of `one` model or score alone. Metrics stand side by side in every column.
    The best is that of each column, or of each row where rows are OOD datasets. Other parameters and errors as in
    `per_dataset`.
    """
    index = Index(results, expected)
    groups = {row.group for row in results} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
    if down == across:
        raise UsageError(f"'{down}' cannot be rows and columns at once", fix="name two of score, model and dataset")
    (third,) = {"score", "model", "dataset"} - {down, across}
    if one is not None:
        results = _of_one(results, third, one, titles)
    axes: dict[str, list[_Part]] = {
        "score": [_of_score(series) for series in series_in_order(results, titles)],
        "model": [_of_model(model, index.title(model)) for model in models_in_order(results, titles)],
        "dataset": [_Part((), "", "", {"ood": MEAN, "group": group}, spot=(MEAN, group))],
    }
    if third != "dataset":
        axes["dataset"] = _datasets(results, titles, datasets, index)
    alone = one is not None or third == "dataset"
    lines = [
        _line(outer, row, alone) for outer in axes[third] for row in axes[down] if alone or _is_there(index, outer, row)
    ]
    stub = STUBS[down] if alone else (third, STUBS[down][1])
    name = title or _title(index, third, group, axes[third][0].title if one is not None else None)
    table = _table(name, stub, lines, axes[across], metric, index)
    # which OOD dataset is the easiest is no question: with these as rows, models or scores compete within a row
    table = marked(replace(table, rivals="row" if down == "dataset" else "column"))
    return table if third != "dataset" else _with_what_lacks(table, index, models_in_order(results, titles), group)


@dataclass(frozen=True)
class _Part:
    """What a row, a column or a block is of, before its numbers: a score, a model, or an OOD dataset or mean.

    `heading` is what it is called as a column, `block` and `title` as a row.
    """

    heading: tuple[str, ...]
    block: str
    title: str
    keys: Mapping[str, str]
    model: Model | None = None
    series: Series | None = None
    spot: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Line:
    """A row before its numbers: what it is called, and what it and its block are of."""

    block: str
    title: str
    parts: tuple[_Part, _Part]
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def series(self) -> Series | None:
        return next((part.series for part in self.parts if part.series is not None), None)


def _of_score(series: Series) -> _Part:
    keys = {"family": series.family, "score": series.score, "params": series.params}
    return _Part((series.family, series.title), series.family, series.title, keys, series=series)


def _of_model(model: Model, title: str) -> _Part:
    return _Part((model.pretext, title), model.pretext, title, {"pretext": model.pretext, "model": model.name}, model)


def _line(outer: _Part, row: _Part, alone: bool) -> _Line:
    return _Line(row.block if alone else outer.title, row.title, (outer, row), {**outer.keys, **row.keys})


def _is_there(index: Index, outer: _Part, row: _Part) -> bool:
    """Say whether a block has such a row: of a model and a score, whether there is a result at all."""
    model, series = outer.model or row.model, outer.series or row.series
    return model is None or series is None or bool(index.rows(model, series))


def _of_one(results: Sequence[Result], third: str, one: str, titles: Titles) -> list[Result]:
    """Return the results of one model or score."""
    found = [row for row in results if getattr(row, third, one) == one]
    if not found:
        known = {row.score for row in results}
        if third == "model":
            known = {model.name for model in models_in_order(results, titles)}
        raise UnknownNameError(f"{third} with results", one, known, plural=f"{third}s with results")
    return found


def _title(index: Index, third: str, group: str, one: str | None) -> str:
    if one is not None:
        return f"{index.benchmark}: {one}"
    if third == "dataset":
        over = "all OOD datasets" if group == ALL_GROUPS else f"the {group} OOD datasets"
        return f"{index.benchmark}: mean over {over}"
    return f"{index.benchmark}: every {third} and OOD dataset"


def _with_what_lacks(table: Table, index: Index, models: Sequence[Model], group: str) -> Table:
    """Return a table of means with its best pair in words, and with why models have no mean."""
    lacking = {m.name: names for m in models if (names := index.lacking(m, group))}
    numbers = {
        {**row.keys, **column.keys}["model"]
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell.value is not None
    }
    absent = {name: no_result_on(names) for name, names in lacking.items() if name not in numbers}
    return replace(table, footnotes=(*winners(table), *table.footnotes), absent=absent)


def _datasets(results: Sequence[Result], titles: Titles, chosen: Sequence[str], index: Index) -> list[_Part]:
    def averaged(group: str) -> bool:
        return not chosen or set(index.members(group)) <= set(chosen)

    def part(group: str, title: str, ood: str) -> _Part:
        return _Part((group, title), group, title, {"ood": ood, "group": group}, spot=(ood, group))

    groups = ood_in_order(results, titles)
    parts = []
    for group, names in groups.items():
        shown = [name for name in names if not chosen or name in chosen]
        parts += [part(group, titles.datasets.get(name, name), name) for name in shown]
        if len(names) > 1 and len(groups) > 1 and averaged(group):
            parts.append(part(group, "average", MEAN))
    if averaged(ALL_GROUPS):
        parts.append(part(ALL_GROUPS, "average", MEAN))
    # A single group needs no level of its own in the heading.
    return parts if len(groups) > 1 else [replace(one, heading=one.heading[1:]) for one in parts]


def _table(
    title: str, stub: tuple[str, str], lines: list[_Line], across: list[_Part], metric: Sequence[str], index: Index
) -> Table:
    metrics = _metrics(metric)
    columns = tuple(_column(part, name, alone=len(metrics) == 1) for part in across for name in metrics)
    places = [[_place((*line.parts, part)) for part in across] for line in lines]
    rows = [
        Row(
            line.block,
            line.title,
            tuple(_cell(index, place, name) for place in row for name in metrics),
            line.series.family if line.series is not None else None,
            {"benchmark": index.benchmark, **line.keys},
            line.series is not None and line.series.control,
        )
        for line, row in zip(lines, places, strict=True)
    ]
    only = f", {METRICS[metrics[0]].heading}" if len(metrics) == 1 else ""
    footnotes = index.footnotes([place for row in places for place in row], metrics)
    return Table(title + only, stub, columns, tuple(rows), tuple(footnotes))


def _place(parts: Sequence[_Part]) -> Place:
    (model,) = (part.model for part in parts if part.model is not None)
    (series,) = (part.series for part in parts if part.series is not None)
    (spot,) = (part.spot for part in parts if part.spot is not None)
    return model, series, *spot


def _column(part: _Part, metric: str, *, alone: bool) -> Column:
    how = METRICS[metric]
    control = part.series is not None and part.series.control
    heading = part.heading if alone else (*part.heading, how.heading)
    return Column(heading, {**part.keys, "metric": metric}, None if control else how.better)


def _cell(index: Index, place: Place, metric: str) -> Cell:
    row = index.find(place)
    why = index.why_empty(place, metric)
    remarks = () if row is None else row.remarks
    if row is None or row.auroc is None:
        return Cell(note="; ".join([why, *remarks]))
    low, high = (row.auroc_low, row.auroc_high) if metric == "auroc" else (None, None)
    note = "; ".join(filter(None, [why, row.note, *remarks]))
    spread = getattr(row, f"{metric}_seed_sd", None)  # of the few metrics that have one
    return Cell(getattr(row, metric), "", low, high, note, spread, None if spread is None else row.seeds)


def _metrics(metric: Sequence[str]) -> list[str]:
    names = [metric] if isinstance(metric, str) else list(metric)
    for name in names:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    return names
