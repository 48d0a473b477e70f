"""Conformance: the variance norm of the way to the nearest ID train row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import whitener
from moodbench.scores.machinery.statistics import Moment, SecondMoment


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
    bank_ : callable
        Starts a walk over the ID train rows in blocks.

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
        self.bank_ = train.bank
        if self.whitener_.rank < train.dim:
            self.note_ = f"ID train varies in {self.whitener_.rank} of {train.dim} dimensions; the rest is left out"

    def score(self, block: Block) -> Tensor:
        z = self.whitener_.rows(block)
        nearest = z.new_full((len(z),), torch.inf)
        for rows in self.bank_():
            others = self.whitener_.rows(rows)
            halves = torch.addmm(others.square().sum(dim=1) / -2, z, others.T)
            way = z - others[halves.argmax(dim=1)]
            nearest = torch.minimum(nearest, torch.linalg.vector_norm(way, dim=1))
        return -nearest
