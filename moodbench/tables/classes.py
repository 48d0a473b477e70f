"""Tables of the classes of OOD datasets: a row for each class and the means over them, a column for each score.

With it the PT-OOD view: where a list says which labels a model was pretrained on, the classes among them are averaged
by themselves, and the others too. A detector may owe what it finds to the labels that its backbone has met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.metrics import METRICS
from moodbench.results import read_provenance, read_results
from moodbench.results.made import is_part_of
from moodbench.sizes import many
from moodbench.tables.cells import Cell, Column, Row, Table
from moodbench.tables.order import Series, Titles, models_in_order, series_in_order
from moodbench.tables.selection import Found, titles_of
from moodbench.types import MEAN, Result
from moodbench.workspace import ModelName, Workspace

MEASURED = ("auroc", "fpr95")
"""The metrics of a class."""

MOST_NAMED = 12
"""Scores that a command to run names; of more, it runs all."""

Seen = Callable[[str], bool | None]
"""Says of a class whether a model was pretrained on its label; None where nobody knows."""

SAID = {True: "seen", False: "unseen", None: "unknown"}
"""For programs: whether a class was among the labels of pretraining."""

WORDS = {True: "among the labels of pretraining", False: "not among them", None: "not known"}


def class_tables(
    space: Workspace,
    found: Found,
    *,
    metric: Sequence[str] = MEASURED,
    datasets: Sequence[str] = (),
    seen: Callable[[str], tuple[Seen | None, str]] = lambda model: (None, ""),
) -> list[Table]:
    """Return a table for each model of each benchmark that has results by class.

    Parameters
    ----------
    space : Workspace
    found : Found
        Benchmarks and their results: which models and scores are shown.
    metric, datasets
        As in `by_class`.
    seen : callable
        For the name of a model: what says of a class whether it is among the labels of its pretraining, if anything
        does; and what to say about it.

    Raises
    ------
    ResultsError
        No model has results by class, or they do not belong to its results.
    UsageError, UnknownNameError
        As `by_class`.
    """
    tables: list[Table] = []
    lacking: list[ResultsError] = []
    without: list[str] = []
    for benchmark, rows in found:
        titles = titles_of(space, benchmark)
        for model in models_in_order(rows, titles):
            pairs = dict.fromkeys((row.score, row.params) for row in rows if row.model == model.name)
            try:
                of_classes = class_rows(space, benchmark, model.name, [score for score, _ in pairs])
            except NoClassesError as error:
                lacking.append(error)
                without.append(f"{model.title} on {benchmark}")
                continue
            shown = [row for row in of_classes if row.score in {score for score, _ in pairs}]
            if shown:
                says, words = seen(model.name)
                made = by_class(shown, metric=metric, titles=titles, datasets=datasets, seen=says)
                tables.append(replace(made, footnotes=(*made.footnotes, *filter(None, [words]))))
    if not tables and lacking:
        raise lacking[0]
    if without:
        said = f"No results by class yet (moodbench score --by-class): {', '.join(without)}"
        tables[-1] = replace(tables[-1], footnotes=(*tables[-1].footnotes, said))
    return tables


class NoClassesError(ResultsError):
    """A model has no results by class."""


def class_rows(space: Workspace, benchmark: str, model: str, scores: Sequence[str] = ()) -> list[Result]:
    """Return the results of a model by class; `scores` are those to run where there are none.

    Raises
    ------
    ResultsError
        There are none, or they were made from something else than the results.
    """
    name = ModelName.parse(model)
    file = space.class_results_file(benchmark, name)
    names = list(dict.fromkeys(scores))
    some = "".join(f" --score {name}" for name in names) if len(names) <= MOST_NAMED else " --all"
    fix = f"moodbench score --by-class --benchmark {benchmark} --model {model}{some}"
    if not file.exists():
        raise NoClassesError(f"there are no results of '{model}' by class on '{benchmark}'", file=file, fix=fix)
    made_from = read_provenance(space.results_file(benchmark, name)).get("inputs", {})
    if not is_part_of(read_provenance(file).get("inputs", {}), made_from):
        raise ResultsError(
            f"the results of '{model}' by class were made from something else than its results on '{benchmark}'",
            file=file,
            fix=fix,
        )
    return read_results(file)


def by_class(
    rows: Sequence[Result],
    *,
    metric: Sequence[str] = MEASURED,
    titles: Titles,
    datasets: Sequence[str] = (),
    seen: Seen | None = None,
) -> Table:
    """Return one row for each class, with the dataset as its block, and under them the mean over the classes.

    Parameters
    ----------
    rows : sequence of Result
        Of one model on one benchmark, by class.
    metric : sequence of str
        AUROC, FPR95 or both.
    titles : Titles
    datasets : sequence of str
        Only these; by default all.
    seen : callable, optional
        Where it is given, there are means of the classes by what it says.

    Raises
    ------
    UsageError, UnknownNameError
        Classes have no such metric, or there is no such dataset among the results.
    """
    for name in metric:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
        if name not in MEASURED:
            what = f"the classes of OOD datasets have no {METRICS[name].label}"
            raise UsageError(what, fix=f"use --metric {' or --metric '.join(MEASURED)}")
    known = list(dict.fromkeys(row.group for row in rows))
    for name in datasets:
        if name not in known:
            raise UnknownNameError("OOD dataset with classes", name, known, plural="OOD datasets with classes")
    series = series_in_order(rows, titles)
    of = {(row.score, row.params, row.group, row.ood): row for row in rows}
    columns = tuple(_column(one, name, alone=len(metric) == 1) for one in series for name in metric)
    first = rows[0]
    whose = {"benchmark": first.benchmark, "pretext": first.pretext, "model": first.model}
    lines: list[Row] = []
    for dataset in sorted(datasets or known, key=lambda name: _place(titles.datasets, name)):
        classes = list(dict.fromkeys(row.ood for row in rows if row.group == dataset and row.ood != MEAN))

        def found(ood: str, dataset: str = dataset) -> list[Result | None]:
            return [of.get((one.score, one.params, dataset, ood)) for one in series]

        block = titles.datasets.get(dataset, dataset)
        for ood in classes:
            title = ood.removeprefix(f"{dataset}/")
            cells = tuple(_cell(row, name) for row in found(ood) for name in metric)
            keys = {**whose, "ood": ood, "group": dataset}
            if seen is not None:
                keys["pretraining"] = SAID[seen(title)]
            lines.append(Row(block, title, cells, keys=keys))
        mean = tuple(_cell(row, name) for row in found(MEAN) for name in metric)
        lines.append(
            Row(
                block,
                f"mean of {many(len(classes), 'class', 'classes')}",
                mean,
                keys={**whose, "ood": MEAN, "group": dataset},
            )
        )
        if seen is not None:
            lines += _split(block, {**whose, "ood": MEAN, "group": dataset}, classes, found, metric, seen)
    only = f", {METRICS[metric[0]].heading}" if len(metric) == 1 else ""
    title = f"{first.benchmark}: {titles.model(first.model)}, by class of the OOD datasets{only}"
    notes = ["A mean counts every class once, however many images it has"]
    notes += [f"{METRICS[name].label}: {METRICS[name].convention}" for name in metric if METRICS[name].convention]
    notes += dict.fromkeys(remark for row in rows for remark in row.remarks)
    return Table(title, ("OOD dataset", "class"), columns, tuple(lines), tuple(notes))


def _split(
    block: str,
    keys: Mapping[str, str],
    classes: Sequence[str],
    found: Callable[[str], list[Result | None]],
    metric: Sequence[str],
    seen: Seen,
) -> list[Row]:
    """Return the means of the classes that were among the labels of pretraining, that were not, and the rest."""
    groups: dict[bool | None, list[str]] = {}
    for ood in classes:
        groups.setdefault(seen(ood.removeprefix(f"{keys['group']}/")), []).append(ood)
    lines = []
    for said, words in WORDS.items():
        some = groups.get(said, [])
        if some:
            each = [found(ood) for ood in some]
            cells = tuple(_mean([rows[i] for rows in each], name) for i in range(len(each[0])) for name in metric)
            title = f"{words} ({len(some)})"
            lines.append(Row(block, title, cells, keys={**keys, "pretraining": SAID[said]}))
    return lines


def _mean(rows: Sequence[Result | None], metric: str) -> Cell:
    values = [None if row is None else getattr(row, metric) for row in rows]
    return Cell(None if None in values else float(np.mean([value for value in values if value is not None])))


def _column(series: Series, metric: str, *, alone: bool) -> Column:
    heading = (series.title,) if alone else (series.title, METRICS[metric].heading)
    return Column(heading, {"family": series.family, "score": series.score, "params": series.params, "metric": metric})


def _cell(row: Result | None, metric: str) -> Cell:
    if row is None:
        return Cell(note="not scored")
    low, high = (row.auroc_low, row.auroc_high) if metric == "auroc" else (None, None)
    return Cell(getattr(row, metric), "", low, high, row.note)


def _place(order: Mapping[str, str], name: str) -> int:
    return list(order).index(name) if name in order else len(order)
