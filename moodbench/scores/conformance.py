"""Conformance: the variance norm of the way to the nearest ID train row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import Guest, Meeting, Visit, bank_of
from moodbench.scores.machinery.coarse import Coarse, left_side, pairs_above, pays, right_side
from moodbench.scores.machinery.gaussian import Whitener, whitener
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import Moment, SecondMoment
from moodbench.scores.machinery.vectorised import row_argmax


@SCORES.register("conformance")
@dataclass
class Conformance(Score):
    """``-min_i sqrt((x - x_i)^T S^+ (x - x_i))`` over all ID train rows x_i, with S the covariance of ID train.

    It is the distance to the nearest row in whitened coordinates. Like `variance_norm` it leaves out what lies outside
    the range of S, and says so where that is not all of the feature space.

    Attributes
    ----------
    whitener_ : Whitener
        Of ID train.
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    Notes
    -----
    The bank is all of ID train, walked over in blocks. The nearest row of each block is found by the expanded square
    and measured directly, because the expansion cancels in float32. With a processor that multiplies short numbers
    faster, all rows are measured that could be nearer than the nearest so far.

    References
    ----------
    Cass et al., Variance Norms for Kernelized Anomaly Detection, 2024, arXiv 2407.11873: the nearest-neighbour
    Mahalanobis distance, here without a kernel.
    """

    title = "Conformance"
    family = "feature"
    paper = "Cass et al., 2024, arXiv 2407.11873"
    year = 2024
    cost = "memory bank"

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment()
        mean = moment.mean
        self.whitener_ = whitener(train, "total", mean, lambda: moment.covariance_about(mean))
        self.bank_ = bank_of(train)
        self._place = self.bank_.join(lambda block: _NearestWhitened(self.whitener_, block))
        if self.whitener_.rank < train.dim:
            self.note_ = f"ID train varies in {self.whitener_.rank} of {train.dim} dimensions; the rest is left out"

    def score(self, block: Block) -> Tensor:
        return -self.bank_.of(self._place, block)


class _NearestWhitened(Guest):
    """The distance to the nearest row of the bank in whitened coordinates."""

    def __init__(self, whitener: Whitener, block: Block) -> None:
        self._whitener = whitener
        self._rows = whitener.rows(block)
        self._nearest = self._rows.new_full((len(block),), torch.inf)
        self._squares = self._rows.square().sum(dim=1, dtype=torch.float64)
        self._left = left_side(self._rows, torch.ones_like(self._nearest)) if pays(self._rows) else None

    def facing(self, stored: Block) -> Visit:
        others = self._whitener.rows(stored)
        halves = others.square().sum(dim=1) / -2
        return partial(self._meet, others, halves, None if self._left is None else right_side(others, halves))

    def _meet(self, others: Tensor, halves: Tensor, right: Coarse | None, meeting: Meeting) -> None:
        z, nearest = self._rows[meeting.rows], self._nearest[meeting.rows]
        if self._left is not None and right is not None:
            # |z - y|^2 = |z|^2 - 2 (z · y - |y|^2 / 2)
            limits = (self._squares[meeting.rows] - nearest.double().square()) / 2
            pairs = pairs_above(self._left.some(meeting.rows), right, limits)
            if pairs is not None:
                row, column = pairs
                way = z.index_select(0, row) - others.index_select(0, column)
                nearest.scatter_reduce_(0, row, torch.linalg.vector_norm(way, dim=1), "amin")
                return
        near = row_argmax(product(z, others.T, halves))
        way = z - others.index_select(0, near)
        torch.minimum(nearest, torch.linalg.vector_norm(way, dim=1), out=nearest)

    def leave(self) -> Tensor:
        return self._nearest
