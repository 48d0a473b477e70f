"""The scores of every row: kept among the caches, and exported beside the results by ``score --save-scores``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import ResultsError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.imported import Imported
from moodbench.evaluation.kept import kept_params
from moodbench.evaluation.pieces import Array
from moodbench.evaluation.protocols import ScoreRun
from moodbench.evaluation.streams import Streams
from moodbench.features.lock import exclusive
from moodbench.features.rowscores import KEPT, NEITHER, RowScores, as_bytes, read_row_scores, write_row_scores
from moodbench.scores.base import Score, create_score
from moodbench.scores.machinery.notes import too_many_not_numbers
from moodbench.scores.machinery.variants import score_of
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
    run: ScoreRun,
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
    scores : mapping of label to Score
        What was run, with its parameters.
    run : ScoreRun
    report : callable
        Is told of what is dropped.
    """
    there = read_saved(file, owner["benchmark"], owner["model"]) if file.exists() else None
    if there is None or there.owner != owner:
        if file.exists():
            report(f"{file}: made from other caches; its scores are dropped")
        there = RowScores(owner)
    _put(there, caches, scores, run.values, run.streams)
    write_row_scores(file, there)


def keep_row_scores(
    file: Path,
    owner: Mapping[str, Any],
    caches: Caches,
    scores: Mapping[str, Score],
    run: ScoreRun,
    report: Report,
) -> None:
    """Put the row scores of a run in place of those of the same scores and parameters; the others stay.

    Unless they were made from something else, or cannot be read: what is here can be made again, and `report` is told.
    A score without a result has no row scores here.

    Parameters
    ----------
    file : Path
        ``scores/<benchmark>.h5`` among the caches of the model.
    owner, caches, scores, report
        As those of `save_row_scores`.
    run : ScoreRun

    Raises
    ------
    CacheError, ResultsError
        The folder cannot be written.
    """
    with exclusive(file, waiting=_waiting(file, report), tidy=True):
        there = RowScores(owner, KEPT)
        if file.exists():
            try:
                before = read_row_scores(file, KEPT)
            except ResultsError as error:
                before = None
                report(f"{file}: {error.what}; it is written anew with the scores of this run alone")
            if before is not None and before.owner == owner:
                there = before
            elif before is not None:
                report(f"{file}: made from other caches; its scores are dropped")
        for label, score in scores.items():
            there.drop(score_of(label), score.describe())
        done = {(row.score, kept_params(row.params)) for row in run.rows if row.auroc is not None}
        values = {
            (dataset, label): array
            for (dataset, label), array in run.values.items()
            if (score_of(label), scores[label].describe()) in done
            and not too_many_not_numbers(np.isnan(array[_counts(run, dataset)]))
        }
        streams = {
            key: array for key, array in run.streams.items() if (score_of(key[2]), scores[key[2]].describe()) in done
        }
        there.put_sides(run.sides)
        _put(there, caches, scores, values, streams)
        write_row_scores(file, there)


def _counts(run: ScoreRun, dataset: str) -> NDArray[np.bool_]:
    """Say of each row whether it counts as ID or OOD: of a stream, the others have no number."""
    counts: NDArray[np.bool_] = run.sides[dataset] != NEITHER
    return counts


def drop_kept(file: Path, scores: Mapping[str, Score], report: Report) -> None:
    """Take the rows of scores, by label, out of what is kept: their results are new, made without keeping rows."""
    if not file.exists():
        return
    with exclusive(file, waiting=_waiting(file, report), tidy=True):
        try:
            there = read_row_scores(file, KEPT)
        except ResultsError:  # whoever writes next says so
            return
        assert there is not None  # in this form it is read whole, or refused
        for label, score in scores.items():
            there.drop(score_of(label), score.describe())
        write_row_scores(file, there)


def kept_row_scores(file: Path, owner: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the scores with their parameters whose rows are kept and were made from the same."""
    if not file.exists():
        return set()
    try:
        there = read_row_scores(file, KEPT)
    except ResultsError:  # whoever writes next says so
        return set()
    return set(there.names) if there is not None and there.owner == owner else set()


def owner_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return whose rows are scored and from what, out of a provenance."""
    return {key: provenance[key] for key in ("benchmark", "model", "inputs")}


def _put(
    there: RowScores,
    caches: Caches,
    scores: Mapping[str, Score],
    values: Mapping[tuple[str, str], Array],
    streams: Streams,
) -> None:
    ids = {dataset: as_bytes(reader.ids) for dataset, reader in (*caches.test.items(), *caches.ood.items())}
    whole: dict[tuple[str, str | None, str], Array] = {
        (name, None, label): array for (name, label), array in values.items()
    }
    for (dataset, stream, label), array in (whole | dict(streams.items())).items():
        there.put(
            dataset,
            ids[dataset.rpartition("/")[2]],  # of a benchmark with one ID class at a time: class/dataset
            array,
            score=score_of(label),
            params=scores[label].describe(),
            default=_default(score_of(label), scores[label]),
            stream=stream,
        )


def _default(name: str, score: Score) -> str:
    """Return the parameters that a score has by default; imported ones have none."""
    return "" if isinstance(score, Imported) else create_score(name).describe()


def _waiting(file: Path, report: Report) -> Callable[[], None]:
    return lambda: report(f"{file}: another process is writing it: waiting")
