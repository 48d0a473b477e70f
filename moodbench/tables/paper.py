"""The two tables of the MOODv2 paper (arXiv 2401.02611) from results: its figure as numbers, and its main table.

The figure has the mean of every pretext task and score. The main table has, for each ID dataset, the scores of a model
pretrained by classification and below them the best score of every other model, on each OOD dataset and on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from moodbench.metrics import METRICS
from moodbench.tables.cells import Column, Row, Table, with_columns
from moodbench.tables.footnotes import MOST_NAMED
from moodbench.tables.grid import pivot
from moodbench.tables.order import NO_TITLES, Model, Titles, models_in_order
from moodbench.tables.rivals import marked
from moodbench.types import ALL_GROUPS, MEAN, Result

SCORES = ("msp", "energy", "max_logit", "kl_matching", "residual", "energy_react", "mahalanobis", "vim")
"""In the order of the paper's rows."""

BASELINE = "classification"
"""The pretext task of the model that has a row for every score."""


@dataclass(frozen=True)
class Part:
    """The results of one benchmark, and what `moodbench.tables.grid.pivot` is told besides.

    Attributes
    ----------
    results : sequence of Result
    titles : Titles
    called : str
        The title of the ID dataset, which stands before its rows.
    expected : mapping, optional
    notes : sequence of str
        Further footnotes.
    """

    results: Sequence[Result]
    titles: Titles = NO_TITLES
    called: str = ""
    expected: Mapping[str, Sequence[str]] | None = None
    notes: Sequence[str] = ()


def paper_tables(
    parts: Sequence[Part],
    *,
    metric: Sequence[str] = ("auroc", "fpr95"),
    scores: Sequence[str] = (),
    datasets: Sequence[str] = (),
    group: str = ALL_GROUPS,
    transpose: bool = False,
) -> list[Table]:
    """Return the figure as a table for each benchmark, then the main table of those that share their OOD datasets.

    Parameters
    ----------
    parts : sequence of Part
    metric : sequence of str
        Of the main table; the figure has the first of them.
    scores : sequence of str
        What is shown, in this order; by default those of the paper that have results, or all where none of these has.
    datasets, group
        As in `moodbench.tables.grid.pivot`: of the main table, and of the figure.
    transpose : bool
        Scores are the rows of the figure, and models its columns.
    """
    kept = [_of_the_paper(part, scores) for part in parts]
    figures = [_figure(part, metric[0], group, transpose) for part in kept]
    mains: dict[tuple[tuple[str, ...], ...], list[Table]] = {}
    for part in kept:
        table = _main(part, metric, datasets)
        mains.setdefault(tuple(column.heading for column in table.columns), []).append(table)
    return [*figures, *map(_joined, mains.values())]


def _of_the_paper(part: Part, scores: Sequence[str]) -> Part:
    """Return a part with the results of the scores that are shown."""
    there = list(dict.fromkeys(row.score for row in part.results))
    wanted = list(scores) or [name for name in SCORES if name in there] or there
    left = [part.titles.scores.get(name, name) for name in there if name not in wanted]
    names = ", ".join(left[:MOST_NAMED]) + (f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else "")
    notes = [f"With results, but not in the paper's tables: {names}; --score names what is shown"] if left else []
    results = [row for row in part.results if row.score in wanted]
    return replace(part, results=results, notes=[*notes, *part.notes])


def _position(score: str) -> tuple[int, str]:
    return (SCORES.index(score), "") if score in SCORES else (len(SCORES), score)


def _figure(part: Part, metric: str, group: str, transpose: bool) -> Table:
    table = pivot(
        part.results,
        "score" if transpose else "model",
        "model" if transpose else "score",
        metric=[metric],
        group=group,
        titles=part.titles,
        expected=part.expected,
    )
    if transpose:
        rows = sorted(table.rows, key=lambda row: _position(row.keys["score"]))
        table = replace(table, rows=tuple(rows), blocks=False)
    else:  # in the order of the paper, in which families are mixed
        order = sorted(range(len(table.columns)), key=lambda i: _position(table.columns[i].keys["score"]))
        table = with_columns(table, order)
        table = replace(table, columns=tuple(replace(one, heading=one.heading[1:]) for one in table.columns))
    return replace(table, footnotes=(*table.footnotes, *part.notes))


def _main(part: Part, metric: Sequence[str], datasets: Sequence[str]) -> Table:
    """Return the part of the main table that is of one benchmark."""
    models = models_in_order(part.results, part.titles)
    baseline = next((model for model in models if model.pretext == BASELINE), None)
    best = {model: _best(part.results, model, metric[0]) for model in models if model != baseline}
    wanted = {(model.name, *pair) for model, pair in best.items() if pair is not None}
    first = None if baseline is None else baseline.name
    results = [row for row in part.results if row.model == first or (row.model, row.score, row.params) in wanted]
    table = pivot(
        results,
        "score",
        "dataset",
        metric=metric,
        titles=part.titles,
        expected=part.expected,
        datasets=datasets,
    )
    order = {model.name: number for number, model in enumerate([baseline, *models] if baseline else models) if model}
    of = {model.name: model for model in models}
    rows = sorted(table.rows, key=lambda row: (_first(order, row, baseline), _position(row.keys["score"])))
    shown = tuple(_named(row, part, of[row.keys["model"]], baseline) for row in rows)
    kept = [i for i, column in enumerate(table.columns) if _is_shown(column)]
    table = with_columns(replace(table, rows=shown), kept)
    levels = 1 + (len(metric) > 1)
    columns = tuple(replace(column, heading=column.heading[-levels:]) for column in table.columns)
    return replace(
        table,
        title=part.called or _benchmark(part),
        stub=("ID dataset", "score"),
        columns=columns,
        footnotes=(*_how(baseline, metric[0], bool(wanted)), *table.footnotes, *part.notes),
        rivals="block",
    )


def _first(order: Mapping[str, int], row: Row, baseline: Model | None) -> int:
    return -1 if baseline is not None and row.keys["model"] == baseline.name else order[row.keys["model"]]


def _best(results: Sequence[Result], model: Model, metric: str) -> tuple[str, str] | None:
    """Return the score and its parameters that have the best mean of a model, the paper's first among equal ones."""
    means = [
        row
        for row in results
        if row.model == model.name and (row.ood, row.group) == (MEAN, ALL_GROUPS) and not row.aside
    ]
    sign = 1 if METRICS[metric].better == "lower" else -1
    there = [row for row in means if getattr(row, metric) is not None]
    if not there:
        return None
    first = min(there, key=lambda row: (sign * getattr(row, metric), _position(row.score), row.params))
    return first.score, first.params


def _named(row: Row, part: Part, model: Model, baseline: Model | None) -> Row:
    title = row.title if model == baseline else f"{row.title} on {model.title}"
    return replace(row, block=part.called or _benchmark(part), title=title)


def _how(baseline: Model | None, metric: str, others: bool) -> list[str]:
    """Return which models the rows are of."""
    if baseline is None:
        return []
    below = (
        f"; of every other model, the score with the best mean {METRICS[metric].label}, which was chosen on these rows"
        if others
        else ""
    )
    return [f"Rows without a model are of {baseline.title} ({baseline.pretext}){below}"]


def _is_shown(column: Column) -> bool:
    """Say whether the paper has such a column: an OOD dataset, or the average over all."""
    return column.keys["ood"] != MEAN or column.keys["group"] == ALL_GROUPS


def _benchmark(part: Part) -> str:
    return part.results[0].benchmark


def _joined(tables: Sequence[Table]) -> Table:
    """Return one table of several with the same columns, and what is not said of all of them with its ID dataset."""
    common = [note for note in tables[0].footnotes if all(note in table.footnotes for table in tables)]
    own = [f"{table.title}: {note}" for table in tables for note in table.footnotes if note not in common]
    names = ", ".join(table.title for table in tables)
    shown = ", ".join(dict.fromkeys(METRICS[column.keys["metric"]].label for column in tables[0].columns))
    return marked(
        replace(
            tables[0],
            title=f"{names}: {shown} on each OOD dataset",
            rows=tuple(row for table in tables for row in table.rows),
            footnotes=(*common, *own),
        )
    )
