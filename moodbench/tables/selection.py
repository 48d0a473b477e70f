"""Which results a table or plot shows, and under which display names: catalogue, results and their provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moodbench.errors import ResultsError, UnknownNameError
from moodbench.params import is_noisy
from moodbench.results import benchmarks_with_results, read_all, read_provenance, result_files
from moodbench.tables.order import Titles
from moodbench.types import MEAN, Result
from moodbench.workspace import ModelName, Workspace

OWN = "own"
"""Stands for the models' own heads."""


def chosen_benchmarks(space: Workspace, names: Sequence[str]) -> list[str]:
    """Return `names` if they have results, or without names every benchmark that has."""
    there = benchmarks_with_results(space.results_dir)
    for name in names:
        if name not in there:
            known = {*there, *space.catalog.benchmarks}
            if name not in known:
                raise UnknownNameError("benchmark", name, known)
            raise ResultsError(
                f"the benchmark '{name}' has no results",
                file=space.results_dir,
                fix=f"moodbench score --benchmark {name}",
            )
    if not there:
        raise ResultsError("there are no results", file=space.results_dir, fix="run moodbench score --all first")
    return list(names) or there


def titles_of(space: Workspace, benchmark: str) -> Titles:
    """Return display names: models and datasets from the catalogue, scores from the provenance of the results."""
    scores: dict[str, tuple[int, str]] = {}
    for file in result_files(space.results_dir / benchmark):
        for name, entry in read_provenance(file).get("scores", {}).items():
            scores[name] = (entry["year"], entry["title"])
    return Titles(
        models={name: spec.title for name, spec in space.catalog.models.items()},
        scores={name: scores[name][1] for name in sorted(scores, key=lambda n: (scores[n][0], n))},
        datasets={name: spec.title for name, spec in space.catalog.datasets.items()},
    )


class NoSuchHeadError(ResultsError):
    """No model with the head has results on a benchmark."""


def rows_of(
    space: Workspace,
    benchmark: str,
    head: str | None,
    *,
    noisy: bool = False,
    models: Sequence[str] = (),
    views: bool = False,
) -> list[Result]:
    """Return the results of a benchmark, of the models with a head alone where one is named.

    Parameters
    ----------
    space, benchmark, head
    noisy : bool
        Also those of scores that were fitted with wrong labels on purpose, which compete with no others.
    models : sequence of str
        Those that are named. Results of views (`moodbench.views`), of which there may be dozens of each model, are
        returned where one of these is a view, or where there are no others.
    views : bool
        Return them in any case.
    """
    rows = [row for row in read_all(space.results_dir, benchmark) if noisy or not is_noisy(row.params)]
    if not views:
        rows = without_views(rows, models)
    if head is None:
        return rows
    wanted = None if head == OWN else head
    chosen = [row for row in rows if ModelName.parse(row.model).head == wanted]
    if not chosen:
        raise NoSuchHeadError(
            f"'{benchmark}' has no results of models with the head '{head}'",
            file=space.results_dir / benchmark,
            fix="moodbench score --all" if wanted is None else f"moodbench score --head {head} --benchmark {benchmark}",
        )
    return chosen


def without_views(rows: Sequence[Result], models: Sequence[str] = ()) -> list[Result]:
    """Return the results without those of views; all, where a view is among the `models` named, or nothing else is."""
    if any(ModelName.parse(name).view is not None for name in models):
        return list(rows)
    return [row for row in rows if ModelName.parse(row.model).view is None] or list(rows)


Found = list[tuple[str, list[Result]]]
"""Benchmarks with their results."""


def only(found: Found, kind: str, names: Sequence[str], of: Callable[[Result], str]) -> Found:
    """Return the results of which `of` is one of `names`, without the benchmarks that have none; without names, all.

    A name that no result has is an `UnknownNameError`: there is no `kind` with results of that name.
    """
    known_of = holding(found, kind, names, of)
    kept = [(name, [row for row in rows if not names or of(row) in names]) for name, rows in known_of]
    return [(name, rows) for name, rows in kept if rows]


def holding(found: Found, kind: str, names: Sequence[str], of: Callable[[Result], str]) -> Found:
    """Return the benchmarks that have a result of which `of` is one of `names`, with all their results; as `only`."""
    known = sorted({of(row) for _, rows in found for row in rows} - {MEAN})
    for name in names:
        if name not in known:
            raise UnknownNameError(f"{kind} with results", name, known, plural=f"{kind}s with results")
    return [(name, rows) for name, rows in found if not names or any(of(row) in names for row in rows)]
