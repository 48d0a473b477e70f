"""The scores of every row, as ``score --save-scores`` keeps them beside the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moodbench.errors import ResultsError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.engine import Array
from moodbench.features.rowscores import RowScores, read_row_scores, write_row_scores
from moodbench.scores.base import Score, create_score
from moodbench.types import Report


def read_saved(file: Path, benchmark: str, model: str) -> RowScores | None:
    """Read row scores; raise a `ResultsError` if they are of another model or benchmark."""
    there = read_row_scores(file)
    whose = None if there is None else (there.owner.get("benchmark"), there.owner.get("model"))
    if whose not in (None, (benchmark, model)):
        raise ResultsError(
            f"the file holds row scores of '{whose[1]}' on '{whose[0]}'", file=file, fix="move it to where it belongs"
        )
    return there


def save_row_scores(
    file: Path,
    owner: Mapping[str, Any],
    caches: Caches,
    scores: Mapping[str, Score],
    values: Mapping[tuple[str, str], Array],
    report: Report,
) -> None:
    """Add the scores of every row to those that were made from the same; others are dropped.

    Parameters
    ----------
    file : Path
        ``<model>.scores.h5``.
    owner : mapping
        Benchmark, model and inputs.
    caches : Caches
    scores : mapping of name to Score
        What was run, with its parameters.
    values : mapping of (dataset, score) to (N,) float64
    report : callable
        Is told of what is dropped.
    """
    there = read_saved(file, owner["benchmark"], owner["model"]) if file.exists() else None
    if there is None or there.owner != owner:
        if file.exists():
            report(f"{file}: made from other caches; its scores are dropped")
        there = RowScores(owner)
    ids = {dataset: reader.ids for dataset, reader in (*caches.test.items(), *caches.ood.items())}
    for (dataset, score), array in values.items():
        there.put(
            dataset,
            ids[dataset.rpartition("/")[2]],  # of a benchmark with one ID class at a time: class/dataset
            array,
            score=score,
            params=scores[score].describe(),
            default=create_score(score).describe(),
        )
    write_row_scores(file, there)
