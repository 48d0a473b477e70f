"""OptFS: the shaping of ID train features that is optimal among piecewise constant factors."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bins import Bins
from moodbench.scores.machinery.shaping import entry_quantiles, head_energy
from moodbench.scores.machinery.statistics import Statistic

LENGTH = 1000.0
"""Norm of the factors, as in the reference. It matters for the energy only."""


@SCORES.register("optfs")
@dataclass
class OptFS(Score):
    """``sum_j w_cj x'_j`` with c the predicted class and x'_j = theta(x_j) x_j, theta constant on each of many bins.

    The bins divide the range between two quantiles of all ID train entries equally; what lies outside becomes zero.
    theta of a bin is proportional to what its entries contribute to the largest logit over ID train, the sum of
    w_cj x_j over them, and has norm 1000.

    Parameters
    ----------
    bins : int, default=100
        Number of bins.
    tail : float, default=0.001
        The range reaches from the quantile at this level to that at one minus it.
    energy : bool, default=False
        Take ``log sum_k exp((W x' + b)_k)``, the reference's other score.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    bins_ : Bins
        The intervals.
    factors_ : (bins + 2,) float32
        What entries of each interval are multiplied with; 0 below the first and above the last.

    Notes
    -----
    Made for features of either sign. The bias takes no part in the default score.

    References
    ----------
    Zhao et al., Towards Optimal Feature-Shaping Methods for Out-of-Distribution Detection, ICLR 2024, arXiv 2402.00865.
    Reference code: Qinyu-Allen-Zhao/OptFSOOD, detector/ours.py. Difference: there rounding can add one more bin
    above the upper quantile.
    """

    title = "OptFS"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Zhao et al., ICLR 2024, arXiv 2402.00865"
    year = 2024

    bins: int = 100
    tail: float = 0.001
    energy: bool = False

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise UsageError(f"'optfs' needs at least one bin, got {self.bins}")
        if not 0 <= self.tail < 0.5:
            raise UsageError(f"the tail of 'optfs' lies in [0, 0.5), got {self.tail:g}")

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        self.weight_, self.bias_ = train.weight, train.bias
        low, high = yield from entry_quantiles(self.tail, 1 - self.tail)
        if low == high:
            raise ScoreError("nearly all entries of the ID train features are equal")
        edges = _upwards(torch.linspace(low, high, self.bins + 1, dtype=torch.float64))
        self.bins_ = Bins(edges.to(train.device))
        sums: Tensor = yield BinnedContributions(self.bins_, self.weight_)
        inside = sums[1:-1]
        length = torch.linalg.vector_norm(inside)
        if length == 0:
            raise ScoreError("ID train features contribute nothing to the logits")
        self.factors_ = torch.zeros_like(sums, dtype=torch.float32)  # first and last stand for what lies outside
        self.factors_[1:-1] = LENGTH * inside / length

    def score(self, block: Block) -> Tensor:
        bins = self.bins_.of(block.features)
        shaped = self.factors_.index_select(0, bins.view(-1)).view_as(bins) * block.features
        if self.energy:
            return head_energy(shaped, self.weight_, self.bias_)
        logit: Tensor = torch.linalg.vecdot(self.weight_.index_select(0, block.predicted), shaped)
        return logit


class BinnedContributions(Statistic[Tensor]):
    """Sums over rows of w_cj x_j by the bin of x_j, c the predicted class, (bins,) float64."""

    def __init__(self, bins: Bins, weight: Tensor) -> None:
        self.bins = bins
        self.weight = weight
        self._sums: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("binned_contributions", tuple(self.bins.edges.tolist()))

    def update(self, block: Block) -> None:
        parts = (self.weight.index_select(0, block.predicted) * block.features).double()
        bins = self.bins.of(block.features)
        self._add(torch.bincount(bins.flatten(), weights=parts.flatten(), minlength=len(self.bins)))

    def _add(self, sums: Tensor) -> None:
        self._sums = sums if self._sums is None else self._sums + sums

    def merge(self, other: Self) -> None:
        if other._sums is not None:
            self._add(other._sums)

    def finalize(self) -> Tensor:
        if self._sums is None:
            raise ValueError("no rows were seen")
        return self._sums


def _upwards(edges: Tensor) -> Tensor:
    """Round float64 edges up to float32: a float32 is at or above the one exactly if it is at or above the other."""
    single = edges.float()
    return torch.where(single.double() < edges, single.nextafter(torch.tensor(torch.inf)), single)
