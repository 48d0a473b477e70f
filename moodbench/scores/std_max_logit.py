"""Standardized max logit: the largest logit on the scale of its class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import GroupedSums, GroupSums

NEGLIGIBLE = 1e-14
"""A variance below this part of the mean square is float32 rounding of equal values."""


class MaxLogitSumsByPrediction(GroupedSums):
    """Counts and sums of the largest logit and of its square, by predicted class."""

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        top = block.max_logit.double()
        return block.predicted, torch.stack([top, top.square()], dim=1)


@SCORES.register("std_max_logit")
@dataclass
class StandardizedMaxLogit(Score):
    """``(max_k l_k - m_c) / s_c`` with m_c and s_c the mean and deviation of that maximum over ID train.

    c is the predicted class, of the row and of the ID train rows alike: true labels play no part. s_c divides by the
    number of rows less one.

    Attributes
    ----------
    mean_, deviation_ : (C,) float64
        Of the largest logit, by predicted class.

    Notes
    -----
    Classes with fewer than two ID train rows, or with no spread, take the mean and deviation over all rows.

    References
    ----------
    Jung et al., Standardized Max Logits: A Simple yet Effective Approach for Identifying Unexpected Road Obstacles in
    Urban-Scene Segmentation, ICCV 2021, arXiv 2107.11264. A row is a pixel there, and smoothing over neighbours
    follows, which has no counterpart here. Reference code: shjung13/Standardized-max-logits, calculate_statistics.py
    and network/deepv3.py; a class with fewer than two rows is not a number there.
    """

    title = "Standardized MaxLogit"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Jung et al., ICCV 2021, arXiv 2107.11264"
    year = 2021

    def fit(self, train: Train) -> Fit:
        assert train.classes is not None
        sums: GroupSums = yield MaxLogitSumsByPrediction(train.classes)
        mean, variance = _mean_and_variance(sums.counts, sums.sums)
        everything = _mean_and_variance(sums.counts.sum()[None], sums.sums.sum(dim=0, keepdim=True))
        alone = variance <= 0
        self.mean_ = torch.where(alone, everything[0], mean)
        variance = torch.where(alone, everything[1], variance)
        self.deviation_ = torch.where(variance > 0, variance.sqrt(), 1.0)
        if bool(alone.any()):
            self.note_ = f"{int(alone.sum())} of {train.classes} predicted classes take the spread of all rows"

    def score(self, block: Block) -> Tensor:
        return (block.max_logit.double() - self.mean_[block.predicted]) / self.deviation_[block.predicted]


def _mean_and_variance(counts: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Return means and unbiased variances, (K,) each; the variance is 0 where it is negligible or not defined."""
    mean, square = (sums / counts.clamp_min(1)[:, None]).unbind(dim=1)
    spread = square - mean.square()
    variance = spread * counts / (counts - 1).clamp_min(1)
    return mean, torch.where((counts > 1) & (spread > NEGLIGIBLE * square), variance, 0.0)
