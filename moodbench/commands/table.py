"""What ``moodbench table`` does: the results of whole benchmarks → tables, or a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from moodbench.arguments import as_names
from moodbench.catalog import Exposure, seen_by
from moodbench.choices import Layout, Positive, check_choice
from moodbench.errors import ResultsError, UsageError
from moodbench.results import read_all, unverified
from moodbench.tables.footnotes import what_models_saw
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import PLAIN, plain_within
from moodbench.tables.grid import Table, grid, per_dataset
from moodbench.tables.order import models_in_order
from moodbench.tables.selection import Found, NoSuchHeadError, chosen_benchmarks, holding, only, rows_of, titles_of
from moodbench.types import ALL_GROUPS, Result
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

FOR_PROGRAMS = ("csv", "json")
"""Formats that keep every column, also those that are empty for one reason."""

FPR95: Mapping[Positive, str] = {"id": "fpr95", "ood": "fpr95_ood"}
"""The two conventions of FPR95, by the class that counts as positive."""


def table(
    *,
    benchmark: str | Sequence[str] = (),
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
    width: int | None = None,
    workspace: Workspace | None = None,
) -> str:
    """Return the tables of one benchmark or several, one after another, as text.

    What is chosen is compared with itself alone: the best of a column is the best of what is shown.

    Parameters
    ----------
    benchmark : str or sequence of str
        By default every benchmark that has results.
    model : str or sequence of str
        Only these models; by default all.
    head : str, optional
        Only the models with this head (``probe``, …), or with ``own`` those without one of another name.
    score : str or sequence of str
        Only these scores, with all parameters that there are; by default all.
    dataset : str or sequence of str
        Only these OOD datasets have columns, in the layout "datasets"; an average is shown where everything that it is
        over is shown.
    format : str
        A name in `moodbench.tables.formats.base.FORMATS`: markdown, latex, csv, html, json, plain.
    layout : {"grid", "datasets", "all"}, optional
        The pretext task × score grid, the OOD datasets side by side as in the paper's main table, or both. By default
        "datasets" where one model or any dataset is named, else "grid".
    metric : str or sequence of str
        Names from `moodbench.metrics.METRICS`; several stand side by side.
    positive : {"id", "ood"}
        What counts as positive in FPR95: with "ood", `fpr95_ood` takes the place of `fpr95`.
    group : str
        The OOD group whose mean the grid shows.
    significance : bool
        Mark every AUROC and FPR95 that is not significantly worse than the best of its column; needs kept row scores.
    width : int, optional
        Letters that a line of the format "plain" may have: wider tables go on below with further columns.

    Raises
    ------
    ResultsError
        There are no results, or for `significance` row scores are missing or stale.
    UnknownNameError, UsageError
        A benchmark, model, score, dataset, format, metric, layout or convention is unknown, or `dataset` is given for
        the grid, which shows means.
    """
    space = workspace or Workspace()
    models, scores, datasets = as_names(model), as_names(score), as_names(dataset)
    render = FORMATS.get(format)
    look = layout or ("datasets" if len(models) == 1 or datasets else "grid")
    check_choice("layout", look, Layout)
    check_choice("positive", positive, Positive)
    if datasets and look == "grid":
        raise UsageError("the grid shows means, and no single OOD dataset", fix="give layout 'datasets' or 'all'")
    shown = list(dict.fromkeys(FPR95[positive] if name == "fpr95" else name for name in as_names(metric)))
    found = _with_head(space, chosen_benchmarks(space, as_names(benchmark)), head)
    found = only(found, "model", models, lambda row: row.model)
    found = only(found, "score", scores, lambda row: row.score)
    found = holding(found, "OOD dataset", datasets, lambda row: row.ood)
    one = models[0] if len(models) == 1 else None
    tables: list[Table] = []
    for name, rows in found:
        titles = titles_of(space, name)
        expected = _expected(space, name)
        made = []
        if look != "datasets":
            made.append(grid(rows, metric=shown, group=group, titles=titles, expected=expected))
        if look != "grid":
            made.append(per_dataset(rows, one, metric=shown, titles=titles, expected=expected, datasets=datasets))
        if significance:
            from moodbench.standings.marks import with_significance

            made = [with_significance(space, each) for each in made]
        notes = what_models_saw(models_in_order(rows, titles), _seen(space, rows))
        tables += [replace(each, footnotes=(*each.footnotes, *notes)) for each in made]
    if format in FOR_PROGRAMS:
        return render(tables)
    readable = [each.for_people() for each in tables]
    return plain_within(readable, width) if format == PLAIN else render(readable)


def _expected(space: Workspace, benchmark: str) -> Mapping[str, Sequence[str]] | None:
    """Return the OOD datasets that results should be of, by group; None where the catalogue does not know."""
    spec = space.catalog.benchmarks.get(benchmark)
    return None if spec is None or spec.each else spec.ood


def _with_head(space: Workspace, benchmarks: Sequence[str], head: str | None) -> Found:
    """Return the benchmarks and their results; those without models of a head are left out, unless all are."""
    found: Found = []
    faults: list[ResultsError] = []
    for name in benchmarks:
        try:
            found.append((name, rows_of(space, name, head)))
        except NoSuchHeadError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    return found


def _seen(space: Workspace, rows: Iterable[Result]) -> dict[str, Exposure]:
    """Return what the models of these results have seen, as far as the catalogue knows them."""
    names = {name: ModelName.parse(name) for name in dict.fromkeys(row.model for row in rows)}
    known = space.catalog.models
    return {
        name: seen_by(known[parsed.base].variant(parsed.variant))
        for name, parsed in names.items()
        if parsed.base in known
    }


def frame(*, benchmark: str | Sequence[str] = (), workspace: Workspace | None = None) -> DataFrame:
    """Return the tidy results of one benchmark or several in pandas: a row per (score, OOD dataset or mean).

    Parameters
    ----------
    benchmark : str or sequence of str
        By default every benchmark that has results.

    Raises
    ------
    ResultsError, UnknownNameError
        As `table`.
    """
    import pandas

    space = workspace or Workspace()
    rows = [row for name in chosen_benchmarks(space, as_names(benchmark)) for row in read_all(space.results_dir, name)]
    return pandas.DataFrame(map(asdict, rows))


def unverified_results(space: Workspace, benchmark: str | Sequence[str] = ()) -> list[Path]:
    """Return the result files that have no checksum to be compared with, of some benchmarks or of all."""
    return [
        file for name in chosen_benchmarks(space, as_names(benchmark)) for file in unverified(space.results_dir, name)
    ]
