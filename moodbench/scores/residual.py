"""Residual: the length of a feature's part in the null space of ID train."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Moment, SecondMoment
from moodbench.scores.machinery.subspace import null_space


@SCORES.register("residual")
@dataclass
class Residual(Score):
    """``-||R^T (x - u)||`` with R and u as in ViM (`moodbench.scores.machinery.subspace`).

    Parameters
    ----------
    dim : int, default=0
        Dimensions of the principal space. 0 takes the reference's rule: 1000 for D >= 2048, 512 for D >= 768, else
        half of D.

    Attributes
    ----------
    space_ : NullSpace
        R and u.

    Notes
    -----
    Without a head the origin u is the mean row of ID train, and the results say so.

    References
    ----------
    Wang et al., CVPR 2022, arXiv 2203.10807, section 4. Reference code: dvlab-research/MOOD, MOODv2/src/benchmark.py,
    whose general eigen-solver is replaced by a symmetric one.
    """

    title = "Residual"
    family = "feature"
    paper = "Wang et al., CVPR 2022, arXiv 2203.10807"
    year = 2022
    sweep = {"dim": (256, 512, 1000)}

    dim: int = 0

    def __post_init__(self) -> None:
        if self.dim < 0:
            raise UsageError(f"the principal dimensions of 'residual' cannot be negative, got {self.dim}")

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment()
        self.space_ = null_space(train, moment, self.dim or reference_dim(train.dim, 1000))
        if train.weight is None:
            self.note_ = "no head: the origin is the ID train mean"

    def score(self, block: Block) -> Tensor:
        return -self.space_.residual(block)


def reference_dim(features: int, wide: int) -> int:
    """Return the reference's number of principal dimensions for a feature width; `wide` is for D >= 2048.

    Residual takes 1000 there, ViM the number of classes. Where that leaves no null space, half of the width is taken
    instead (the reference divides by zero).
    """
    if features >= 2048 and wide < features:
        return wide
    if 768 <= features < 2048:
        return 512
    return features // 2
