"""Scores in which chance has a part, run with several seeds in one pass, and what becomes of their numbers.

Each seed is a copy of the score: passes over ID train, test rows and what blocks share serve all copies together. Group
means are means within a seed first; so their spread is that of the mean over the seeds, not the mean of the spreads.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from moodbench.errors import UsageError
from moodbench.evaluation.protocols import ScoreRun
from moodbench.metrics import METRICS
from moodbench.scores.base import Score
from moodbench.scores.machinery.parameters import checked
from moodbench.scores.machinery.variants import score_of
from moodbench.types import Result

MOST_SEEDS = 100

AVERAGED = (*METRICS, "auroc_low", "auroc_high")
"""An interval is about the rows, not about the seeds: that of the mean has the means of the end points."""


def check_seeds(seeds: int, scores: Mapping[str, Score]) -> None:
    """Refuse a number of seeds that makes no sense, or takes the seed of a score beyond the largest."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or not 1 <= seeds <= MOST_SEEDS:
        raise UsageError(
            f"the number of seeds is a whole number between 1 and {MOST_SEEDS}, got {seeds!r:.80}",
            fix="--seeds 5, as a rule",
        )
    for name, score in scores.items():
        if score.has_seed():
            checked(score_of(name), "seed", _seed(score) + seeds - 1, 0)


@dataclass(frozen=True)
class Copies:
    """Scores, and beside each that has a seed its copies with the next seeds.

    Attributes
    ----------
    scores : dict of name to Score
        Those that were asked for and, under names that no score can have, the copies.
    of : dict
        Name of a score with a seed → the names of all that belong to it, itself the first.
    """

    scores: dict[str, Score]
    of: dict[str, list[str]]

    @classmethod
    def make(cls, scores: Mapping[str, Score], seeds: int) -> Copies:
        """Copy every score that has a seed, with the seeds that follow its own."""
        found: dict[str, Score] = {}
        of: dict[str, list[str]] = {}
        for name, score in scores.items():
            found[name] = score
            if score.has_seed() and seeds > 1:
                some: Any = score
                further = {f"{name}\0{n}": replace(some, seed=_seed(score) + n) for n in range(1, seeds)}
                found |= further
                of[name] = [name, *further]
        return cls(found, of)

    def together(self, run: ScoreRun) -> ScoreRun:
        """Return what a run of all copies says of the scores: means over the seeds, and row scores of the first."""
        rows: dict[str, list[Result]] = {}
        for row in run.rows:
            rows.setdefault(row.score, []).append(row)
        further = {name for names in self.of.values() for name in names[1:]}
        merged: list[Result] = []
        for name, its in rows.items():
            if name in self.of:
                copies = self.of[name]
                params = self.scores[name].describe(seeds=len(copies))
                seeds = [_seed(self.scores[copy]) for copy in copies]
                each = zip(*(rows[copy] for copy in copies), strict=True)
                merged += [replace(mean_over_seeds(some, seeds), params=params) for some in each]
            elif name not in further:
                merged += its
        values = {key: array for key, array in run.values.items() if key[1] not in further}
        streams = {key: array for key, array in run.streams.items() if key[2] not in further}
        return replace(run, rows=merged, values=values, streams=streams)


def _seed(score: Score) -> int:
    return int(getattr(score, "seed"))  # noqa: B009 - a parameter that not every score has


def of_draw(score: Score, draw: int) -> Score:
    """Return a score for a draw of wrong labels, with its own seed, where it has one, further by as much."""
    assert score.label_noise_ is not None
    some: Any = score
    one: Score = replace(some, seed=_seed(score) + draw) if score.has_seed() else copy.copy(score)
    one.label_noise_ = (score.label_noise_[0], draw)
    return one


def mean_over_seeds(rows: Sequence[Result], seeds: Sequence[int]) -> Result:
    """Return the rows of several seeds as one; without numbers if one of them has none."""
    if len(rows) == 1:
        return replace(rows[0], seeds=1)
    failed = [row.auroc is None for row in rows]
    numbers: dict[str, Any] = dict.fromkeys(AVERAGED)
    if not any(failed):
        for name in AVERAGED:
            found = [getattr(row, name) for row in rows]
            numbers[name] = None if None in found else float(np.mean(found))
        for metric in ("auroc", "fpr95"):
            numbers[f"{metric}_seed_sd"] = float(np.std([getattr(row, metric) for row in rows], ddof=1))
    said: dict[str, list[str]] = {}
    for row, seed, bad in zip(rows, seeds, failed, strict=True):
        if bad or not any(failed):
            said.setdefault(row.note, []).append(str(seed))
    note = "; ".join(f"seed {', '.join(of)}: {note}" for note, of in said.items() if note)
    if len(said) == 1 and failed.count(failed[0]) == len(rows):
        note = next(iter(said))
    return replace(rows[0], seeds=len(rows), note=note, **numbers)
