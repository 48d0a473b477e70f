"""Mean-shifted k-NN: nearest neighbours by the angle at the mean of ID train."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import TOGETHER, Bank, Guest, Largest, Meeting, Visit, bank_of, large_pairs, margin
from moodbench.scores.machinery.coarse import Coarse, dots, left_side, pairs_above, pays, right_side
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.unit import unit_rows
from moodbench.sizes import many


@SCORES.register("mean_shifted")
@dataclass
class MeanShifted(Score):
    """``1/k sum_{j <= k} cos(z - m, z_(j) - m)``, the mean of the k largest cosines with the ID train rows.

    z = x / ||x|| are unit rows, and m is their mean over ID train. Unit features of one network often lie close
    together on the sphere; seen from their mean, they point everywhere.

    Parameters
    ----------
    k : int, default=2
        As in the authors' program. With fewer rows than k, all of them are taken.

    Attributes
    ----------
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    Notes
    -----
    The mean-shifted representation (z - m) / ||z - m|| is the one in which the paper trains a network, with a
    contrastive loss. Nothing is trained here: rows are compared in that representation as the network gives it. The
    program compares those of the trained network by squared distances of z, without the shift; of the mean-shifted
    rows these are 2 - 2 cos, so the order is that of this score.

    References
    ----------
    Reiss and Hoshen, Mean-Shifted Contrastive Loss for Anomaly Detection, AAAI 2023, arXiv 2106.03844. Reference code:
    talreiss/Mean-Shifted-Anomaly-Detection, main.py and utils.py.
    """

    title = "Mean-shifted KNN"
    family = "feature"
    paper = "Reiss & Hoshen, AAAI 2023, arXiv 2106.03844"
    year = 2023
    cost = "memory bank"
    sweep = {"k": (1, 2, 10, 50)}

    k: int = 2

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"the number of neighbours must be at least 1, got {self.k}")

    def fit(self, train: Train) -> Fit:
        mean: Tensor = yield UnitMean()
        self.bank_ = bank_of(train, mean)
        self._place = self.bank_.join(lambda block: _MostAligned(self.k, self.bank_, block))
        if train.rows < self.k:
            self.note_ = f"ID train has {many(train.rows, 'row')} only: all of them are taken"

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(self._place, block)


class _MostAligned(Guest):
    """The mean of the `k` largest cosines of mean-shifted rows, (B,) float64."""

    def __init__(self, k: int, bank: Bank, block: Block) -> None:
        assert bank.directions is not None
        self._directions = bank.directions
        self._shifted = unit_rows(bank.directions.ways(block))
        self._largest = [Largest(k) for _ in range(0, len(block), TOGETHER)]
        self._left = left_side(self._shifted) if pays(self._shifted) else None

    def facing(self, stored: Block) -> Visit:
        others = unit_rows(self._directions.ways(stored))
        return partial(self._meet, others, None if self._left is None else right_side(others))

    def _meet(self, others: Tensor, right: Coarse | None, meeting: Meeting) -> None:
        mine, largest = self._shifted[meeting.rows], self._largest[meeting.rows.start // TOGETHER]
        pairs = None
        if self._left is not None and right is not None and largest.limits is not None:
            pairs = pairs_above(self._left.some(meeting.rows), right, largest.limits)
        if pairs is None:
            lost = margin(mine.shape[1], torch.ones_like(mine[:, 0]))
            pairs = large_pairs(product(mine, others.T), largest.limits, largest.k, lost)
        largest.add(pairs[0], dots(mine, others, *pairs), len(mine))

    def leave(self) -> Tensor:
        return torch.cat([some.best.double().mean(dim=1) for some in self._largest if some.best is not None])
