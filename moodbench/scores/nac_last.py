"""NAC on the last layer: how common the state of each neuron is on ID train."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bins import Bins
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.sample import chosen_rows
from moodbench.scores.machinery.statistics import NegativeShare, Statistic

BASE = 1000.0
"""Base of the logarithm that spaces the intervals."""

SIGNED = 0.005
"""Features with at least this share of negative entries count as signed."""

_FULL = 1 << 40
"""Stands for an interval that is full, in sums of integers: so rows whose neurons have the same coverages, in whatever
order, get the same score, and not one that depends on how rounding falls."""


@dataclass(frozen=True, eq=False)
class States:
    """Neuron states, and the intervals that they fall into.

    The state of neuron j is sigmoid(steepness · x_j g_j), g the gradient of the divergence of the softmax from the
    uniform distribution with respect to x: g = W^T (p - 1/C). Intervals are bounded by logits of states, so that no
    sigmoid is taken and none rounds to 1.
    """

    weight: Tensor
    steepness: float
    bins: Bins

    @property
    def intervals(self) -> int:
        """Number of intervals of one neuron."""
        return len(self.bins)

    def of(self, block: Block) -> Tensor:
        """Return the interval of every neuron's state, counted through all neurons, (B, D) int64."""
        gradient = product(block.probabilities - 1.0 / len(self.weight), self.weight)
        states = gradient.mul_(block.features).mul_(self.steepness)
        return self.bins.of(states) + torch.arange(states.shape[1], device=states.device) * self.intervals


class StateCounts(Statistic[Tensor]):
    """How many rows have the state of each neuron in each interval, (D · intervals,) int64."""

    def __init__(self, states: States, share: float = 1.0, seed: int = 0) -> None:
        self.states, self.share, self.seed = states, share, seed
        self._counts: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("neuron_states", self.states.steepness, self.states.intervals, self.share, self.seed)

    def update(self, block: Block) -> None:
        if self.share < 1:
            block = block.rows(chosen_rows(block, self.share, self.seed))
        size = block.features.shape[1] * self.states.intervals
        counts = torch.bincount(self.states.of(block).reshape(-1), minlength=size)
        self._counts = counts if self._counts is None else self._counts + counts

    def merge(self, other: Self) -> None:
        if other._counts is not None:
            self._counts = other._counts if self._counts is None else self._counts + other._counts

    def finalize(self) -> Tensor:
        if self._counts is None:
            raise ValueError("no rows were seen")
        return self._counts


def interval_edges(points: int) -> Tensor:
    """Return the logits of the inner bounds of the intervals of [0, 1] that `points` log-spaced points make, float64.

    States below one half are cut at log_1000 of n = points / 2 evenly spaced numbers from 1 to sqrt(1000), those above
    at the mirror images: narrow towards one half, where neurons that do not matter lie.
    """
    n = points // 2
    lower = torch.linspace(1, math.sqrt(BASE), n, dtype=torch.float64)[1:-1].log() / math.log(BASE)
    logits = torch.logit(lower)
    return torch.cat([logits, torch.zeros(1, dtype=torch.float64), -logits.flip(0)])


def coverage_of(counts: Tensor, full: float) -> Tensor:
    """Return the rows of every interval, (states,) int64, with a mark in place of those that reach `full`."""
    return torch.where(counts.double() < full, counts, _FULL)


def mean_coverage(states: Tensor, coverage: Tensor, full: float) -> Tensor:
    """Return the mean over neurons of min(rows of the state's interval / full, 1), (B,) float64.

    Parameters
    ----------
    states : (B, D) int64
        The interval of every neuron, counted through all neurons.
    coverage : (states,) int64
        As `coverage_of` returns it.
    full : float
    """
    total = coverage.index_select(0, states.view(-1)).view_as(states).sum(dim=1)
    filled = total.div(_FULL, rounding_mode="floor")
    rows = (total - filled * _FULL).double()
    return (rows / full + filled) / states.shape[1]


@SCORES.register("nac_last")
@dataclass
class NACLast(Score):
    """``mean over neurons j of min(n_j(s_j) / (share · N), 1)``, n_j(s) the ID train rows whose state is near s.

    The state of neuron j is s_j = sigmoid(steepness · x_j g_j) with g = W^T (p - 1/C), the gradient of KL(u || p) with
    respect to x, u uniform; near means in the same interval (`interval_edges`).

    Parameters
    ----------
    steepness : float, default=0
        0 takes the authors' values for ImageNet: 3000 for non-negative features (their ResNet-50), 100 for signed ones
        (their ViT).
    points : int, default=50
        Bounds of the intervals, M in the authors' configuration.
    share : float, default=0.01
        Share of the counted rows that fills an interval. The authors give their number, 10 of 1000 for the ResNet-50
        and 500 of 50,000 for the ViT: the same share.
    rows : int, default=50000
        About so many ID train rows are counted, chosen at random; all where there are fewer.
    seed : int, default=0
        Of that choice.

    Attributes
    ----------
    states_ : States
        Takes rows to the states of their neurons.
    full_ : int
        share · N, the rows that fill an interval.
    coverage_ : (states,) int64
        The rows of every interval.

    References
    ----------
    Liu et al., Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization, ICLR 2024,
    arXiv 2306.02879, on the penultimate layer alone; the published results average several layers. Reference code:
    BierOne/ood_coverage, openood/postprocessors/nac.
    """

    title = "NAC (last layer)"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Liu et al., ICLR 2024, arXiv 2306.02879"
    year = 2024

    steepness: float = 0.0
    points: int = 50
    share: float = 0.01
    rows: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steepness < 0 or self.points < 4 or not 0 < self.share <= 1 or self.rows < 1:
            raise UsageError(
                "'nac_last' needs steepness >= 0, points >= 4, share in (0, 1] and rows >= 1, got "
                f"steepness={self.steepness}, points={self.points}, share={self.share} and rows={self.rows}"
            )

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        steepness = self.steepness
        if not steepness:
            negative: float = yield NegativeShare()
            steepness = 3000.0 if negative < SIGNED else 100.0
        self.states_ = States(train.weight, steepness, Bins(interval_edges(self.points).float().to(train.device)))
        counts: Tensor = yield StateCounts(self.states_, min(1.0, self.rows / train.rows), self.seed)
        self.full_ = self.share * max(int(counts.sum()) // train.dim, 1)
        self.coverage_ = coverage_of(counts, self.full_)

    def score(self, block: Block) -> Tensor:
        return mean_coverage(self.states_.of(block), self.coverage_, self.full_)
