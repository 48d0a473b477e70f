"""Which results a table or plot shows, and under which display names: catalogue, results and their provenance."""

from __future__ import annotations

from collections.abc import Sequence

from moodbench.errors import ResultsError, UnknownNameError
from moodbench.results import benchmarks_with_results, read_all, read_provenance, result_files
from moodbench.tables.order import Titles
from moodbench.types import Result
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


def rows_of(space: Workspace, benchmark: str, head: str | None) -> list[Result]:
    """Return the results of a benchmark, of the models with a head alone where one is named."""
    rows = read_all(space.results_dir, benchmark)
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
