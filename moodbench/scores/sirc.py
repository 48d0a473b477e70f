"""SIRC: a softmax confidence, augmented by a score of the feature where the feature is unusual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.doctor import DoctorAlpha
from moodbench.scores.entropy import Entropy
from moodbench.scores.machinery.statistics import Mean, Moment, SecondMoment
from moodbench.scores.machinery.subspace import null_space
from moodbench.scores.machinery.tempered import log_rest
from moodbench.scores.residual import reference_dim

_TINY = torch.finfo(torch.float64).tiny


def _msp(block: Block) -> Tensor:
    return logsigmoid(log_rest(block))  # log (1 - p)


def _entropy(block: Block) -> Tensor:
    return (-Entropy().score(block).double()).clamp_min(_TINY).log()


def _doctor(block: Block) -> Tensor:
    odds = (-DoctorAlpha().score(block).double()).clamp_min(_TINY)  # (1 - g) / g with g = sum_k p_k^2
    return logsigmoid(odds.log())


def _length(block: Block) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(block.features, ord=1, dim=1).double()
    return length


@SCORES.register("sirc")
@dataclass
class SIRC(Score):
    """``-log(S1_max - S1) - log(1 + exp(-b (S2 - a)))`` with a = mean - 3 sd and b = 1 / sd of S2 over ID train.

    S1 is a confidence of the softmax and S1_max the largest value it can take, S2 a score of the feature. Where S2 is
    as on ID train the second term is about zero, and the order is that of S1.

    Parameters
    ----------
    first : str, default="msp"
        S1: ``msp`` (S1_max 1), ``entropy`` (its negative, S1_max 0) or ``doctor`` (sum_k p_k^2, S1_max 1).
    second : str, default="norm"
        S2: ``norm``, the L1 norm of the feature, or ``residual``, as the score of that name.

    Attributes
    ----------
    second_ : callable
        Block → (B,) float64, the second score.
    start_, steepness_ : float
        Where the second score begins to count, and how fast.

    Notes
    -----
    S1_max - S1 is summed from the small probabilities rather than subtracted, so no confident row scores infinity. The
    paper's third S2, a distance to the nearest neighbours, is left out: its mean over ID train would compare every
    train row with every other.

    References
    ----------
    Xia and Bouganis, Augmenting Softmax Information for Selective Classification with Out-of-Distribution Data,
    ACCV 2022, arXiv 2207.07506. Reference code: Guoxoug/SIRC, utils/eval_utils.py.
    """

    title = "SIRC"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Xia & Bouganis, ACCV 2022, arXiv 2207.07506"
    year = 2022

    first: str = "msp"
    second: str = "norm"

    FIRST: ClassVar[dict[str, Callable[[Block], Tensor]]] = {"msp": _msp, "entropy": _entropy, "doctor": _doctor}
    """By name: block → log(S1_max - S1), (B,) float64."""

    def __post_init__(self) -> None:
        if self.first not in self.FIRST:
            raise UsageError(f"'sirc' knows no '{self.first}'", fix=f"first is one of {', '.join(self.FIRST)}")
        if self.second not in ("norm", "residual"):
            raise UsageError(f"'sirc' knows no '{self.second}'", fix="second is one of norm, residual")

    def fit(self, train: Train) -> Fit:
        self.second_ = _length
        key: tuple[object, ...] = ("l1",)
        if self.second == "residual":
            moment: Moment = yield SecondMoment()
            space = null_space(train, moment, reference_dim(train.dim, 1000))
            self.second_ = lambda block: -space.residual(block).double()
            key = ("residual", *space.key)
            if train.weight is None:
                self.note_ = "no head: the origin is the ID train mean"
        mean: float
        square: float
        mean, square = yield (
            Mean(("sirc", *key), self.second_),
            Mean(("sirc squared", *key), lambda block: self.second_(block).square()),
        )
        deviation = max(square - mean**2, 0.0) ** 0.5
        if deviation <= 1e-7 * abs(mean):  # what float32 can tell apart
            raise ScoreError(f"the {self.second} is the same for all ID train rows")
        self.start_, self.steepness_ = mean - 3 * deviation, 1 / deviation

    def score(self, block: Block) -> Tensor:
        unusual = softplus(-self.steepness_ * (self.second_(block) - self.start_))
        return -self.FIRST[self.first](block) - unusual
