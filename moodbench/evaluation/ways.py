"""How scores are run: as they are, with wrong labels of ID train, or with parameters chosen on validation sets.

Each way gives rows under parameters of its own, so that none replaces those of another.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moodbench.catalog import BenchmarkSpec
from moodbench.errors import UsageError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.noise import check_shares, reading_labels, under_noise
from moodbench.evaluation.protocols import ScoreRun
from moodbench.evaluation.run import score_caches, score_noisy
from moodbench.evaluation.tuning import tune, validation_of, with_choices
from moodbench.features.reader import RowReader
from moodbench.scores.base import Score
from moodbench.scores.machinery.variants import Candidates, make_candidates, make_variants
from moodbench.sizes import many
from moodbench.types import Report


@dataclass(frozen=True)
class Plan:
    """What is run for every model.

    Attributes
    ----------
    scores : dict of label to Score
        Unfitted; of these every model gets copies.
    label_noise : tuple of float
        Shares of wrong labels under which the scores are run too.
    candidates : Candidates or None
        Out of which variants one of each score is chosen first.
    """

    scores: dict[str, Score]
    label_noise: tuple[float, ...] = ()
    candidates: Candidates | None = None


@dataclass(frozen=True)
class Done:
    """One run: the scores, fitted; what came out; what the provenance says of their rows; seconds a row, if timed."""

    scores: Mapping[str, Score]
    run: ScoreRun
    tuned: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def make_plan(
    names: Sequence[str],
    params: Mapping[str, Mapping[str, Any]],
    *,
    label_noise: Sequence[float] = (),
    tune: bool = False,
    named: bool = True,
    report: Report = lambda line: None,
) -> Plan:
    """Return what to run; `report` is told which scores have no part in it. `named`: somebody asked for these scores.

    Raises
    ------
    UnknownNameError, UsageError
        Parameters are not those of the scores, a share is none, no score has a part, or two ways are asked for at once.
    """
    if not tune:
        scores = make_variants(names, params)
        if not label_noise:
            return Plan(scores)
        shares = check_shares(label_noise)
        reading = reading_labels(scores)
        if not reading:
            raise UsageError(
                f"none of these scores reads labels of ID train: {', '.join(names)}",
                fix="their results are the same with any labels; moodbench list scores --needs labels  names others",
            )
        if len(reading) < len(scores):
            others = many(len(scores) - len(reading), "score reads", "scores read")
            report(f"{others} no labels of ID train: wrong ones change nothing there")
        return Plan(reading, shares)
    if label_noise:
        raise UsageError("--tune and --label-noise cannot be asked for at once", fix="run one after the other")
    candidates = make_candidates(names, params)
    if candidates.untunable:
        count = len(candidates.untunable)
        which = f" ({', '.join(candidates.untunable)})" if named else ""
        report(f"left out: {many(count, 'score')} without parameters to tune{which}")
    return Plan(candidates.scores, candidates=candidates)


def runs(
    plan: Plan,
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    ood_val: Mapping[str, RowReader],
    *,
    seeds: int = 1,
    timed: bool = False,
    **how: Any,
) -> Iterator[Done]:
    """Yield one run after the other for one model.

    Parameters
    ----------
    plan : Plan
    scores : mapping of label to Score
        Those of the plan that are not done yet.
    ood_val : mapping of dataset to RowReader
        OOD validation rows, where parameters are chosen.
    timed : bool
        Measure how long scores take for a row (with right labels: wrong ones change no time).
    seeds, how
        As in `score_caches`.
    """
    seconds: dict[str, float] | None = {} if timed else None
    fresh = copy.deepcopy(dict(scores))  # a fitted score keeps what it has learned: every model gets fresh ones
    if plan.candidates is None:
        noisy = {share: under_noise(fresh, share) for share in plan.label_noise}
        run = score_caches(benchmark, caches, fresh, seeds=seeds, seconds=seconds, **how)
        yield Done(fresh, run, seconds=_known(seconds, fresh))
        for share, its in noisy.items():
            yield Done(its, score_noisy(benchmark, caches, its, share, seeds=seeds, **how))
        return
    validation = validation_of(benchmark, caches, ood_val)
    choices = tune(validation, Candidates(fresh, plan.candidates.tuned), **how)
    chosen = {name: choice.score for name, choice in choices.items()}
    run = score_caches(benchmark, caches, chosen, seeds=seeds, seconds=seconds, **how)
    told = {
        f"{name} {choices[name].score.describe(seeds)}": validation.made_from
        | {"chosen": choices[name].note, "auroc": dict(choices[name].auroc)}
        for name in choices
    }
    yield Done(chosen, with_choices(run, choices, validation), told, _known(seconds, chosen))


def _known(seconds: Mapping[str, float] | None, scores: Mapping[str, Score]) -> dict[str, float]:
    """Return the times of scores, without those of copies with further seeds."""
    return {label: took for label, took in (seconds or {}).items() if label in scores}
