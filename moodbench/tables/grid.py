"""Results → tables: what stands in which cell and which cell is best, without a word on how it looks.

`grid` is the main view, pretext tasks × scores; `per_dataset` has the layout of the main table of the MOODv2 paper.
A mean that the results do not hold (an OOD dataset is missing) is an empty cell, never an average over what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from moodbench.errors import UnknownNameError
from moodbench.metrics import METRICS, Better
from moodbench.tables.footnotes import EMPTY, Index, Place, no_result_on
from moodbench.tables.marks import Mark, ranks
from moodbench.tables.order import (
    NO_TITLES,
    Model,
    Series,
    Titles,
    models_in_order,
    ood_in_order,
    series_in_order,
)
from moodbench.types import ALL_GROUPS, MEAN, Family, Result


@dataclass(frozen=True)
class Cell:
    """One number as a fraction (or a text), None where there is none; `low` and `high` are its 95 % limits.

    `note` says why there is no number, or what is unusual about it. A mean over several `seeds` has a `spread`, the
    sample standard deviation over them. What is `signed` is a difference, and shows its sign. `not_worse` says whether
    it could be as good as the best of its column; None where that was not tested.
    """

    value: float | str | None = None
    mark: Mark = ""
    low: float | None = None
    high: float | None = None
    note: str = ""
    spread: float | None = None
    seeds: int | None = None
    signed: bool = False
    not_worse: bool | None = None


@dataclass(frozen=True)
class Column:
    """A column of cells.

    Attributes
    ----------
    heading : tuple of str
        From the widest level to the narrowest (pretext task, model, metric); equal neighbours are meant to be merged.
        All columns of a table have the same number of levels.
    keys : mapping
        The same for machines: ``model``, ``ood``, ``metric``, …
    better : {"higher", "lower"} or None
        What counts as best; None marks nothing.
    kind : {"percent", "text"}
        A share, or words.
    """

    heading: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    better: Better | None = None
    kind: Literal["percent", "text"] = "percent"


@dataclass(frozen=True)
class Row:
    """A row: the block it belongs to (a family or a model), its title, and its cells, one for each column.

    That of a control has no best number.
    """

    block: str
    title: str
    cells: tuple[Cell, ...]
    family: Family | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    control: bool = False


@dataclass(frozen=True)
class Table:
    """A table; `stub` heads the two columns that name the rows (block and title).

    `absent` is why columns of models are empty that lack a result on an OOD dataset: model → words.
    """

    title: str
    stub: tuple[str, str]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    def for_people(self) -> Table:
        """Return it without the columns that are empty for one reason, which the footnotes say, or as one line."""
        kept = [i for i, column in enumerate(self.columns) if column.keys.get("model") not in self.absent]
        if len(kept) == len(self.columns):
            return self
        if not kept:
            why = next(iter(self.absent.values()))
            line = Row(EMPTY, f"all {len(self.rows)} scores", (Cell(why),))
            return replace(
                self, columns=(Column(("why there is no number",), kind="text"),), rows=(line,), footnotes=()
            )
        rows = (replace(row, cells=tuple(row.cells[i] for i in kept)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in kept), rows=tuple(rows))


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
    index = Index(results, expected)
    groups = {row.group for row in results} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
    lines = [_Line(s.family, s) for s in series_in_order(results, titles)]
    spots = [_Spot((m.pretext, index.title(m)), MEAN, group, m) for m in models_in_order(results, titles)]
    over = "all OOD datasets" if group == ALL_GROUPS else f"the {group} OOD datasets"
    table = _table(title or f"{index.benchmark}: mean over {over}", ("family", "score"), lines, spots, metric, index)
    lacking = {m.name: names for m in models_in_order(results, titles) if (names := index.lacking(m, group))}
    numbers = {
        c.keys["model"]
        for row in table.rows
        for c, cell in zip(table.columns, row.cells, strict=True)
        if cell.value is not None
    }
    absent = {name: no_result_on(names) for name, names in lacking.items() if name not in numbers}
    return replace(table, footnotes=(*_winners(table), *table.footnotes), absent=absent)


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
    index = Index(results, expected)
    models = models_in_order(results, titles)
    if model is not None:
        chosen = [one for one in models if one.name == model]
        if not chosen:
            known = (one.name for one in models)
            raise UnknownNameError("model with results", model, known, plural="models with results")
        models, results = chosen, [row for row in results if row.model == model]
    lines = [
        _Line(s.family if model else index.title(one), s, one)
        for one in models
        for s in series_in_order(results, titles)
        if index.rows(one, s)
    ]
    name = (
        f"{index.benchmark}: {index.title(models[0])}" if model else f"{index.benchmark}: every model and OOD dataset"
    )
    stub = ("family" if model else "model", "score")
    return _table(title or name, stub, lines, _datasets(results, titles, datasets, index), metric, index)


@dataclass(frozen=True)
class _Line:
    """A row before its numbers; `model` is None where the columns name it."""

    block: str
    series: Series
    model: Model | None = None


@dataclass(frozen=True)
class _Spot:
    """A column, or as many as there are metrics, before its numbers; `model` is None where the rows name it."""

    heading: tuple[str, ...]
    ood: str
    group: str
    model: Model | None = None


def _datasets(results: Sequence[Result], titles: Titles, chosen: Sequence[str], index: Index) -> list[_Spot]:
    def averaged(group: str) -> bool:
        return not chosen or set(index.members(group)) <= set(chosen)

    groups = ood_in_order(results, titles)
    spots = []
    for group, names in groups.items():
        shown = [name for name in names if not chosen or name in chosen]
        spots += [_Spot((group, titles.datasets.get(name, name)), name, group) for name in shown]
        if len(names) > 1 and len(groups) > 1 and averaged(group):
            spots.append(_Spot((group, "average"), MEAN, group))
    if averaged(ALL_GROUPS):
        spots.append(_Spot((ALL_GROUPS, "average"), MEAN, ALL_GROUPS))
    # A single group needs no level of its own in the heading.
    return spots if len(groups) > 1 else [replace(spot, heading=spot.heading[1:]) for spot in spots]


def _table(
    title: str, stub: tuple[str, str], lines: list[_Line], spots: list[_Spot], metric: Sequence[str], index: Index
) -> Table:
    metrics = _metrics(metric)
    columns = tuple(_column(spot, name, alone=len(metrics) == 1) for spot in spots for name in metrics)
    places = [[_place(line, spot) for spot in spots] for line in lines]
    rows = [
        Row(
            line.block,
            line.series.title,
            tuple(_cell(index, place, name) for place in row for name in metrics),
            line.series.family,
            {"benchmark": index.benchmark, **_line_keys(line)},
            line.series.control,
        )
        for line, row in zip(lines, places, strict=True)
    ]
    only = f", {METRICS[metrics[0]].heading}" if len(metrics) == 1 else ""
    footnotes = index.footnotes([place for row in places for place in row], metrics)
    return Table(title + only, stub, columns, _marked(rows, columns), tuple(footnotes))


def _place(line: _Line, spot: _Spot) -> Place:
    model = line.model or spot.model
    assert model is not None  # either the row or the column names it
    return model, line.series, spot.ood, spot.group


def _column(spot: _Spot, metric: str, *, alone: bool) -> Column:
    how = METRICS[metric]
    keys = {"ood": spot.ood, "group": spot.group, "metric": metric}
    if spot.model is not None:
        keys |= {"pretext": spot.model.pretext, "model": spot.model.name}
    return Column(spot.heading if alone else (*spot.heading, how.heading), keys, how.better)


def _line_keys(line: _Line) -> dict[str, str]:
    keys = {"family": line.series.family, "score": line.series.score, "params": line.series.params}
    return keys if line.model is None else keys | {"pretext": line.model.pretext, "model": line.model.name}


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


def _marked(rows: list[Row], columns: Sequence[Column]) -> tuple[Row, ...]:
    """Return the rows with the best and the second-best number of each column marked."""
    marks = [ranks([_rival(row, i) for row in rows], column.better) for i, column in enumerate(columns)]
    return tuple(
        replace(row, cells=tuple(replace(cell, mark=marks[i][j]) for i, cell in enumerate(row.cells)))
        for j, row in enumerate(rows)
    )


def _rival(row: Row, column: int) -> float | str | None:
    """Return the value that competes for the best of a column: controls have none."""
    return None if row.control else row.cells[column].value


MOST_WINNERS = 3
"""Pairs with the best number that are named; a small trial can have hundreds."""


def _winners(table: Table) -> list[str]:
    """Return the best pair of the first metric in words; of a single model the mark says it already."""
    metric = table.columns[0].keys["metric"]
    chosen = [i for i, column in enumerate(table.columns) if column.keys["metric"] == metric]
    pairs = [(row, i) for row in table.rows for i in chosen]
    marks = ranks([_rival(row, i) for row, i in pairs], table.columns[0].better)
    best = [
        f"{row.title} on {table.columns[i].heading[1]}" for (row, i), m in zip(pairs, marks, strict=True) if m == "best"
    ]
    if not best or len(chosen) < 2:
        return []
    more = f" and {len(best) - MOST_WINNERS} more" if len(best) > MOST_WINNERS else ""
    return [f"Best {METRICS[metric].label} of the table: {', '.join(best[:MOST_WINNERS])}{more}"]


def _metrics(metric: Sequence[str]) -> list[str]:
    names = [metric] if isinstance(metric, str) else list(metric)
    for name in names:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    return names
