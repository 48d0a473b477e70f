"""What ``moodbench table`` does: the results of whole benchmarks → tables, or a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from moodbench.arguments import as_names
from moodbench.catalog import Exposure, seen_by
from moodbench.choices import Layout, Positive, check_choice
from moodbench.errors import ResultsError, UnknownNameError
from moodbench.results import read_all, unverified
from moodbench.tables.footnotes import what_models_saw
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import Table, grid, per_dataset
from moodbench.tables.order import models_in_order
from moodbench.tables.selection import NoSuchHeadError, chosen_benchmarks, rows_of, titles_of
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
    model: str | None = None,
    head: str | None = None,
    format: str = "markdown",
    layout: Layout = "grid",
    metric: str | Sequence[str] = ("auroc", "fpr95"),
    positive: Positive = "id",
    group: str = ALL_GROUPS,
    workspace: Workspace | None = None,
) -> str:
    """Return the tables of one benchmark or several, one after another, as text.

    Parameters
    ----------
    benchmark : str or sequence of str
        By default every benchmark that has results.
    model : str, optional
        Only this model's per-dataset table.
    head : str, optional
        Only the models with this head (``probe``, …), or with ``own`` those without one of another name.
    format : str
        A name in `moodbench.tables.formats.base.FORMATS`: markdown, latex, csv, html, json, plain.
    layout : {"grid", "datasets", "all"}
        The pretext task × score grid, the OOD datasets side by side as in the paper's main table, or both.
    metric : str or sequence of str
        Names from `moodbench.metrics.METRICS`; several stand side by side.
    positive : {"id", "ood"}
        What counts as positive in FPR95: with "ood", `fpr95_ood` takes the place of `fpr95`.
    group : str
        The OOD group whose mean the grid shows.

    Raises
    ------
    ResultsError
        There are no results.
    UnknownNameError, UsageError
        A benchmark, model, format, metric, layout or convention is unknown.
    """
    space = workspace or Workspace()
    render = FORMATS.get(format)
    check_choice("layout", layout, Layout)
    check_choice("positive", positive, Positive)
    shown = list(dict.fromkeys(FPR95[positive] if name == "fpr95" else name for name in as_names(metric)))
    tables: list[Table] = []
    for name, rows in _chosen(space, chosen_benchmarks(space, as_names(benchmark)), model, head):
        titles = titles_of(space, name)
        expected = _expected(space, name)
        made = []
        if layout != "datasets" and model is None:
            made.append(grid(rows, metric=shown, group=group, titles=titles, expected=expected))
        if layout != "grid" or model is not None:
            made.append(per_dataset(rows, model, metric=shown, titles=titles, expected=expected))
        notes = () if model is not None else what_models_saw(models_in_order(rows, titles), _seen(space, rows))
        tables += [replace(one, footnotes=(*one.footnotes, *notes)) for one in made]
    return render(tables if format in FOR_PROGRAMS else [one.for_people() for one in tables])


def _expected(space: Workspace, benchmark: str) -> Mapping[str, Sequence[str]] | None:
    """Return the OOD datasets that results should be of, by group; None where the catalogue does not know."""
    spec = space.catalog.benchmarks.get(benchmark)
    return None if spec is None or spec.each else spec.ood


def _chosen(
    space: Workspace, benchmarks: Sequence[str], model: str | None, head: str | None
) -> list[tuple[str, list[Result]]]:
    """Return the benchmarks and their results; those without the model or head are left out, unless all are."""
    chosen: list[tuple[str, list[Result]]] = []
    faults: list[ResultsError] = []
    for name in benchmarks:
        try:
            chosen.append((name, rows_of(space, name, head)))
        except NoSuchHeadError as error:
            faults.append(error)
    if not chosen:
        raise faults[0]
    if model is not None:
        known = sorted({row.model for _, rows in chosen for row in rows})
        if model not in known:
            raise UnknownNameError("model with results", model, known, plural="models with results")
        chosen = [(name, rows) for name, rows in chosen if any(row.model == model for row in rows)]
    return chosen


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
