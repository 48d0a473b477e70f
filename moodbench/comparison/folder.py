"""Another folder of results, a colleague's or last month's, as a reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moodbench.comparison.reference import METRICS, Given, Reference, place_of
from moodbench.errors import ResultsError
from moodbench.results import benchmarks_with_results, read_all, read_provenance, read_results, result_files


def results_in(folder: Path) -> Reference:
    """Return every AUROC and FPR95 of a folder of results.

    Raises
    ------
    ResultsError
        It holds none, or a file cannot be read.
    """
    benchmarks = benchmarks_with_results(folder)
    if not benchmarks:
        raise no_results_in(folder)
    numbers = [
        Given(name, row.model, row.score, place_of(row), metric, getattr(row, metric), row.params, row=row)
        for name in benchmarks
        for row in read_all(folder, name)
        for metric in METRICS
    ]
    return Reference(f"the results in {folder}", "folder", tuple(numbers), provenance_in(folder))


def provenance_in(folder: Path) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Return where the numbers of a folder of results come from, by benchmark and model."""
    found = {}
    for name in benchmarks_with_results(folder):
        for file in result_files(folder / name):
            rows = read_results(file)
            if rows:
                found[name, rows[0].model] = read_provenance(file)
    return found


def no_results_in(folder: Path) -> ResultsError:
    """Return the error that says so, with the folder that may be meant."""
    return ResultsError("this folder holds no results", file=folder, fix=_instead(folder))


def _instead(folder: Path) -> str:
    if benchmarks_with_results(folder / "results"):
        return f"name {folder / 'results'}"
    if result_files(folder):
        return f"name {folder.parent}, in which every benchmark has a folder"
    return "name a folder as --results-dir is one: BENCHMARK/MODEL.csv, each with its .json"
