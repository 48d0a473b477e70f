"""The test rows that `score` kept, found and held against the results and the caches before anybody compares them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from moodbench.errors import ResultsError
from moodbench.evaluation.inputs import changed_since
from moodbench.evaluation.rows import TestRows
from moodbench.evaluation.stale import changed_views, imported_anew
from moodbench.features.rowscores import KEPT, read_row_scores
from moodbench.features.times import read_times, times_file
from moodbench.params import is_noisy, is_tuned
from moodbench.results import read_provenance, read_results
from moodbench.workspace import ModelName, Workspace

MOST_NAMED = 8
"""Models that a message names for one reason; it counts more of them."""


class LackingError(Exception):
    """There are no row scores of a model that belong to its results; the text goes on from "of 'vit' …"."""


def kept_rows(space: Workspace, benchmark: str, model: str) -> TestRows:
    """Return the row scores of a model on a benchmark.

    Raises
    ------
    LackingError
        There are none, or they cannot be read, or were made from something else than the results, or than the caches
        that are there.
    """
    name = ModelName.parse(model)
    file = space.kept_scores_file(name, benchmark)
    if not file.exists():
        raise LackingError("there are none")
    try:
        kept = read_row_scores(file, KEPT)
    except ResultsError as error:
        raise LackingError(error.what.replace("the row scores", "they", 1)) from None
    assert kept is not None  # in this form it is read whole, or refused
    noted = read_provenance(space.results_file(benchmark, name))
    inputs = noted.get("inputs")
    if (kept.owner["benchmark"], kept.owner["model"], kept.owner["inputs"]) != (benchmark, model, inputs):
        raise LackingError("they were made from something else than the results")
    changed = changed_since(space, name, kept.owner["inputs"])
    if changed is not None:
        raise LackingError(
            f"they are older than the cache of {changed}" if changed != "its head" else "its head changed"
        )
    old = changed_views(space, name, noted)
    for score, params in kept.names if old else ():
        if f"{score} {params}".strip() in {kept_params(row) for row in old}:
            kept.drop(score, params)
    for score in imported_anew(space, name, noted):
        kept.drop(score, "")
    return TestRows(model, kept)


class KeptRows:
    """The row scores of the models on a benchmark, for several pictures of the same: read and checked once.

    Those of the last few models are held, not of all: ImageNet's test rows in many scores are gigabytes.
    """

    HELD = 3

    def __init__(self, space: Workspace, benchmark: str) -> None:
        self.space, self.benchmark = space, benchmark
        self._outcome = lru_cache(self.HELD)(self._read)

    def of(self, model: str) -> TestRows:
        """Return the row scores of a model; raises as `kept_rows` does, each time."""
        outcome = self._outcome(model)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _read(self, model: str) -> TestRows | LackingError | ResultsError:
        try:
            return kept_rows(self.space, self.benchmark, model)
        except (LackingError, ResultsError) as error:
            return error


def run_again(
    space: Workspace, benchmark: str, lacking: Mapping[str, str], made: Iterable[tuple[str, str]] = ()
) -> ResultsError:
    """Return the error that says of which models rows are missing or stale, why, and what to run.

    Parameters
    ----------
    space : Workspace
    benchmark : str
    lacking : mapping of model → why
    made : iterable of (score, parameters)
        Those whose rows are wanted; few of them are named.
    """
    models: dict[str, list[str]] = {}
    for model, why in lacking.items():
        models.setdefault(why, []).append(model)
    what = "; ".join(f"of {_some(names)} {why}" for why, names in models.items())
    again = [f"--model {model}" for model in lacking] if len(lacking) <= MOST_NAMED else []
    wanted = list(dict.fromkeys(made))
    scores = list(dict.fromkeys(score for score, _ in wanted))
    again += [f"--score {score}" for score in scores] if len(scores) <= MOST_NAMED else []
    others = len(scores) < len(wanted) or any(is_tuned(params) or is_noisy(params) for _, params in wanted)
    how = " with the --param, --tune or --label-noise of before" if others else ""
    return ResultsError(
        f"row scores on '{benchmark}' are missing or stale: {what}",
        file=space.cache_dir,
        fix=f"moodbench score --benchmark {benchmark} {' '.join(again)}".rstrip() + how,
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more models" if len(names) > MOST_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + more


def kept_params(params: str) -> str:
    """Return the parameters under which rows are kept of a result with these: those of the first of several seeds."""
    return re.sub(r"seed=(\d+)\.\.\d+", r"seed=\1", params)


def measured_times(space: Workspace, benchmark: str, model: str) -> dict[tuple[str, str], float]:
    """Return (score, parameters of the results) → seconds that a test row took it alone, as far as `score` measured it.

    Of several seeds the first one's time is that of all. Times that belong to other caches are left out.
    """
    name = ModelName.parse(model)
    file = space.results_file(benchmark, name)
    owner = {"benchmark": benchmark, "model": model, "inputs": read_provenance(file).get("inputs")}
    times = read_times(times_file(space.kept_scores_file(name, benchmark)), owner)
    return {
        (row.score, row.params): times[key]
        for row in read_results(file)
        if (key := (row.score, kept_params(row.params))) in times
    }
