"""Conformance: the variance norm of the way to the nearest ID train row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import Guest, Meeting, bank_of
from moodbench.scores.machinery.gaussian import Whitener, whitener
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
    and measured directly, because the expansion cancels in float32.

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
        self._stored: Block | None = None

    def meet(self, meeting: Meeting) -> None:
        if self._stored is not meeting.stored:
            self._stored, self._others = meeting.stored, self._whitener.rows(meeting.stored)
            self._halves = self._others.square().sum(dim=1) / -2
        z = self._rows[meeting.rows]
        near = row_argmax(torch.addmm(self._halves, z, self._others.T))
        way = z - self._others.index_select(0, near)
        nearest = self._nearest[meeting.rows]
        torch.minimum(nearest, torch.linalg.vector_norm(way, dim=1), out=nearest)

    def leave(self) -> Tensor:
        return self._nearest
