"""What is ranked: pairs of model and score, models, or scores; and which pairs a mean of theirs is over.

Means are compared only where they are over the same: models by the mean over the scores that all of them have, scores
by the mean over the models that all of them have. A model that could not run the weakest scores would else be the best.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from moodbench.choices import By
from moodbench.errors import ResultsError


class Pair(NamedTuple):
    """A model and a score with its parameters."""

    model: str
    score: str
    params: str


class Entrant(NamedTuple):
    """A pair; or a model alone, or a score with its parameters alone."""

    model: str | None
    score: str | None
    params: str | None


@dataclass(frozen=True)
class Field:
    """Who takes part.

    Attributes
    ----------
    by : {"pair", "model", "score"}
    entrants : dict of Entrant to tuple of Pair
        The pairs that an entrant's number is the mean over.
    lost : tuple of Pair
        Those without results on every benchmark.
    unshared : tuple of (score, parameters), or of models
        Those that not all entrants have, which are left out of the means.
    """

    by: By
    entrants: dict[Entrant, tuple[Pair, ...]]
    lost: tuple[Pair, ...] = ()
    unshared: tuple[Pair | Entrant, ...] = ()

    @property
    def over(self) -> int:
        """How many scores, or models, each mean is over."""
        return len(next(iter(self.entrants.values())))

    @property
    def pairs(self) -> list[Pair]:
        """Every pair that counts."""
        return [pair for some in self.entrants.values() for pair in some]


def field_of(pairs: Sequence[Iterable[Pair]], by: By) -> Field:
    """Return who takes part, given the pairs that each benchmark has a number of.

    Raises
    ------
    ResultsError
        No pair is on every benchmark, or the models have no score in common, or the scores no model.
    """
    there = [dict.fromkeys(some) for some in pairs]
    every = dict.fromkeys(pair for some in there for pair in some)
    common = [pair for pair in every if all(pair in some for some in there)]
    lost = tuple(pair for pair in every if pair not in set(common))
    if not common:
        raise ResultsError(
            "no pair of model and score has results on every one of the benchmarks",
            fix="rank one benchmark with --benchmark, or run moodbench score --all",
        )
    if by == "pair":
        return Field(by, {Entrant(*pair): (pair,) for pair in common}, lost)
    whose = [(pair, _sides(pair, by)) for pair in common]
    owners = list(dict.fromkeys(owner for _, (owner, _) in whose))
    has: dict[Hashable, dict[Entrant, Pair]] = {}
    for pair, (owner, other) in whose:
        has.setdefault(other, {})[owner] = pair
    shared = [its for its in has.values() if len(its) == len(owners)]
    if not shared:
        raise _nothing_shared(owners, whose, by)
    unshared = tuple(_sides(next(iter(its.values())), by)[1] for its in has.values() if len(its) < len(owners))
    return Field(by, {owner: tuple(its[owner] for its in shared) for owner in owners}, lost, unshared)


def _sides(pair: Pair, by: By) -> tuple[Entrant, Entrant]:
    """Return whose number a pair is part of, and what that is averaged over."""
    model, score = Entrant(pair.model, None, None), Entrant(None, pair.score, pair.params)
    return (model, score) if by == "model" else (score, model)


def _nothing_shared(
    owners: Sequence[Entrant], whose: Sequence[tuple[Pair, tuple[Entrant, Entrant]]], by: By
) -> ResultsError:
    counts = {owner: sum(one == owner for _, (one, _) in whose) for owner in owners}
    least = min(owners, key=lambda owner: counts[owner])
    others = "scores" if by == "model" else "models"
    name = least.model if by == "model" else f"{least.score} {least.params}".strip()
    return ResultsError(
        f"the {len(owners)} {by}s have no {others} in common; the fewest has '{name}': {counts[least]}",
        fix="score what is missing, or name those that go together with --model and --score",
    )
