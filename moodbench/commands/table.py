"""What ``moodbench table`` does: the results of whole benchmarks → tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from moodbench.arguments import as_names, check_whole
from moodbench.catalog import Exposure, seen_by
from moodbench.choices import Axis, Layout, Positive, check_choice
from moodbench.errors import ResultsError, UsageError
from moodbench.evaluation.stale import marked_stale
from moodbench.results import unverified
from moodbench.tables.arrange import captioned, in_order, looking
from moodbench.tables.cells import Table
from moodbench.tables.classes import class_tables
from moodbench.tables.depth import depth_tables, depths_of, line_of
from moodbench.tables.footnotes import what_models_saw
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import PLAIN, plain_within
from moodbench.tables.grid import pivot
from moodbench.tables.layouts import laid_out
from moodbench.tables.marks import DECIMALS
from moodbench.tables.order import models_in_order
from moodbench.tables.paper import Part, paper_tables
from moodbench.tables.runs import check_named, refuse_mixed, together
from moodbench.tables.selection import Found, NoSuchHeadError, chosen_benchmarks, holding, only, rows_of, titles_of
from moodbench.tables.shown import Tables
from moodbench.types import ALL_GROUPS, Result
from moodbench.workspace import ModelName, Workspace, as_workspace

FOR_PROGRAMS = ("csv", "json")
"""Formats that keep every column, also those that are empty for one reason."""

FPR95: Mapping[Positive, str] = {"id": "fpr95", "ood": "fpr95_ood"}
"""The two conventions of FPR95, by the class that counts as positive."""


def table(
    benchmark: str | Sequence[str] = (),
    *,
    model: str | Sequence[str] = (),
    head: str | None = None,
    score: str | Sequence[str] = (),
    dataset: str | Sequence[str] = (),
    format: str = "markdown",
    layout: Layout | None = None,
    metric: str | Sequence[str] = ("auroc", "fpr95"),
    positive: Positive = "id",
    group: str = ALL_GROUPS,
    significance: bool = False,
    rows: Axis | None = None,
    cols: Axis | None = None,
    transpose: bool = False,
    sort: str | None = None,
    intervals: bool = False,
    decimals: int = DECIMALS,
    caption: str | None = None,
    label: str | None = None,
    width: int | None = None,
    runs: bool = False,
    workspace: Workspace | None = None,
) -> Tables:
    """Return the tables of one benchmark or several, one after another, as text that Jupyter shows as tables.

    What is chosen is compared with itself alone: the best of a column is the best of what is shown.

    Parameters
    ----------
    benchmark : str or sequence of str
        By default every benchmark that has results.
    model : str or sequence of str
        Only these models; by default all but layers, which are shown where one is named (``MODEL@layer-NAME``), and in
        the layout "depth", where the model's name stands for all of them.
    head : str, optional
        Only the models with this head (``probe``, …), or with ``own`` those without one of another name.
    score : str or sequence of str
        Only these scores, with all parameters that there are; by default all.
    dataset : str or sequence of str
        Only these OOD datasets have columns, in the layout "datasets"; an average is shown where everything that it is
        over is shown.
    format : str
        A name in `moodbench.tables.formats.base.FORMATS`: markdown, latex, csv, html, json, plain.
    layout : {"grid", "datasets", "all", "paper", "classes", "depth"}, optional
        The pretext task × score grid, the OOD datasets side by side, both, the two tables of the MOODv2 paper (see
        `moodbench.tables.paper`), every class of the OOD datasets (`moodbench.tables.classes`), or for each model
        scores × its layers. By default "datasets" where one model or any dataset is named, else "grid".
    metric : str or sequence of str
        Names from `moodbench.metrics.METRICS`; several stand side by side.
    positive : {"id", "ood"}
        What counts as positive in FPR95: with "ood", `fpr95_ood` takes the place of `fpr95`.
    group : str
        The OOD group whose mean the grid shows.
    significance : bool
        Mark every AUROC and FPR95 that is not significantly worse than the best of its column; needs kept row scores.
    rows, cols : {"score", "model", "dataset"}, optional
        What the rows and the columns are, instead of a layout, or within one: the grid has scores and models,
        "datasets" has scores and datasets. Where datasets are neither, numbers are means over `group`; where models or
        scores are neither, each has a block of rows.
    transpose : bool
        Exchange rows and columns, but for the metrics, which stay side by side. The best is that of each column still.
    sort : str, optional
        Sort the rows, the best first, by a column (the name of its model, score, OOD dataset or group, or ``mean``,
        with ``:METRIC`` for another metric than the first), by the ``best`` number of each, or by their ``title``.
    intervals : bool
        Show the 95 % interval behind each AUROC.
    decimals : int
        Of percentages, from 0 to 8. Numbers that print alike share their mark. JSON has all digits, always.
    caption, label : str, optional
        Of the table, where it is the only one: its title, and the name by which LaTeX and HTML refer to it.
    width : int, optional
        Letters that a line of the format "plain" may have: wider tables go on below with further columns.
    runs : bool
        Show the training runs of one recipe (``runs: GROUP`` in the catalogue) as one model, called as their group: the
        mean over them, and the standard deviation behind it.

    Returns
    -------
    Tables
        A `str` in the format; Jupyter shows it as a table, and `to_frame` gives it to pandas.

    Raises
    ------
    ResultsError
        There are no results, or for `significance` row scores are missing or stale.
    UnknownNameError, UsageError
        A benchmark, model, score, dataset, format, metric, layout, column or convention is unknown, or options
        contradict each other: `dataset` and the grid, which shows means.
    """
    check_whole(decimals=decimals)
    check_whole(optional=True, width=width)
    space = as_workspace(workspace)
    models, scores, datasets = as_names(model), as_names(score), as_names(dataset)
    render = FORMATS.get(format)
    axes = laid_out(layout, rows, cols, "datasets" if len(models) == 1 or datasets else "grid")
    check_choice("positive", positive, Positive)
    if datasets and axes and not any("dataset" in pair for pair in axes):
        raise UsageError("the grid shows means, and no single OOD dataset", fix="give layout 'datasets' or 'all'")
    shown = list(dict.fromkeys(FPR95[positive] if name == "fpr95" else name for name in as_names(metric)))
    deep = layout == "depth"
    found = _with_head(space, chosen_benchmarks(space, as_names(benchmark)), head, models, deep)
    groups = {name: spec.runs for name, spec in space.catalog.models.items() if spec.runs is not None}
    if runs:
        if significance or not axes:
            what = "--significance" if significance else f"the layout '{layout}'"
            raise UsageError(f"{what} is about single models, and --runs shows means over several", fix="leave one out")
        taken = sorted({*groups.values()} & {*space.catalog.models})
        if taken:
            raise UsageError(f"'{taken[0]}' is a model and a group of training runs", fix="rename the group ('runs')")
        for name, results in found:
            refuse_mixed(space, name, [one.model for one in results], groups, asked=models)
        found = [(name, together(marked_stale(space, name, results), groups)) for name, results in found]
    check_named(models, [row for _, results in found for row in results], groups, runs=runs)
    found = only(found, "model", models, lambda row: line_of(row.model) if deep else row.model)
    found = only(found, "score", scores, lambda row: row.score)
    found = holding(found, "OOD dataset", datasets, lambda row: row.ood)
    found = found if runs else [(name, marked_stale(space, name, results)) for name, results in found]
    tables: list[Table] = []
    parts: list[Part] = []
    for name, results in found:
        titles = titles_of(space, name)
        expected = _expected(space, name)
        notes = what_models_saw(models_in_order(results, titles), _seen(space, results))
        parts.append(Part(results, titles, _id_of(space, name), expected, notes))
        for pair in axes:
            one = _alone(pair, results, models, scores)
            down, across = reversed(pair) if transpose else pair
            made = pivot(
                results,
                down,
                across,
                one=one,
                metric=shown,
                group=group,
                titles=titles,
                expected=expected,
                datasets=datasets,
            )
            tables.append(replace(made, footnotes=(*made.footnotes, *notes)))
    if layout == "classes":
        if significance or transpose:
            raise UsageError("the layout 'classes' knows neither significance nor transpose", fix="leave them out")
        seen = partial(_pretraining, space)
        tables = class_tables(space, found, metric=shown, datasets=datasets, seen=seen)
    elif deep:
        tables = [
            one
            for part, (name, results) in zip(parts, found, strict=True)
            for one in depth_tables(
                depths_of(space, name, results), results, part.titles, metric=shown, group=group, expected=part.expected
            )
        ]
    elif not axes:
        how = {"scores": scores, "datasets": datasets}
        tables = paper_tables(parts, metric=shown, group=group, transpose=transpose, **how)
    if significance:
        from moodbench.standings.marks import with_significance

        tables = [with_significance(space, each) for each in tables]
    tables = [looking(each, decimals, intervals) for each in tables]
    tables = captioned(in_order(tables, sort) if sort is not None else tables, caption, label)
    if format in FOR_PROGRAMS:
        return Tables(render(tables), tables)
    readable = [each.for_people() for each in tables]
    return Tables(plain_within(readable, width) if format == PLAIN else render(readable), tables)


def _alone(
    pair: tuple[Axis, Axis], results: Sequence[Result], models: Sequence[str], scores: Sequence[str]
) -> str | None:
    """Return the only model or score that is named where it is neither rows nor columns: it needs no blocks."""
    if "model" not in pair:
        return models[0] if len(models) == 1 else None
    if "score" not in pair and len({(row.score, row.params) for row in results}) == 1:
        return scores[0] if len(scores) == 1 else None
    return None


def _expected(space: Workspace, benchmark: str) -> Mapping[str, Sequence[str]] | None:
    """Return the OOD datasets that results should be of, by group; None where the catalogue does not know."""
    spec = space.catalog.benchmarks.get(benchmark)
    return None if spec is None or spec.each else spec.ood


def _id_of(space: Workspace, benchmark: str) -> str:
    """Return the title of the ID dataset of a benchmark, or its own name where the catalogue does not know."""
    spec = space.catalog.benchmarks.get(benchmark)
    known = {} if spec is None else {name: space.catalog.datasets.get(name) for name in spec.id_test}
    return ", ".join(name if of is None else of.title for name, of in known.items()) or benchmark


def _with_head(
    space: Workspace, benchmarks: Sequence[str], head: str | None, models: Sequence[str], views: bool
) -> Found:
    """Return the benchmarks and their results; those without models of a head are left out, unless all are."""
    found: Found = []
    faults: list[ResultsError] = []
    for name in benchmarks:
        try:
            found.append((name, rows_of(space, name, head, models=models, views=views)))
        except NoSuchHeadError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    return found


def _pretraining(space: Workspace, model: str) -> tuple[Callable[[str], bool | None] | None, str]:
    """Return what says of a class whether a model was pretrained on its label, and what to say about it."""
    from moodbench.datasets.known_labels import NOTHING, seen_labels

    name = ModelName.parse(model)
    spec = space.catalog.models.get(name.base)
    labels = None if spec is None else spec.variant(name.variant).labels_beyond
    if labels is None:
        return None, "Labels seen in pretraining: the catalogue does not say which"
    if labels == NOTHING:
        return None, "Labels seen in pretraining: none besides those of the head"
    says = seen_labels(labels)
    known = "" if says is not None else ", of which there is no list to compare classes with"
    return says, f"Labels seen in pretraining: {labels}{known}"


def _seen(space: Workspace, rows: Iterable[Result]) -> dict[str, Exposure]:
    """Return what the models of these results have seen, as far as the catalogue knows them."""
    names = {name: ModelName.parse(name) for name in dict.fromkeys(row.model for row in rows)}
    models = space.catalog.models
    known = {**{spec.runs: spec for spec in models.values() if spec.runs is not None}, **models}
    return {
        name: seen_by(known[parsed.base].variant(parsed.variant))
        for name, parsed in names.items()
        if parsed.base in known
    }


def unverified_results(space: Workspace, benchmark: str | Sequence[str] = ()) -> list[Path]:
    """Return the result files that have no checksum to be compared with, of some benchmarks or of all."""
    return [
        file for name in chosen_benchmarks(space, as_names(benchmark)) for file in unverified(space.results_dir, name)
    ]
