"""The length of a feature vector, which is larger for rows that a classifier knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.shaping import signed_note
from moodbench.scores.machinery.statistics import Mean, NegativeShare
from moodbench.sizes import percent

FLAT = 0.02
"""Norms whose standard deviation over ID train is below this part of their mean say next to nothing: so it is after a
LayerNorm, which gives all rows nearly the same length."""


class _Norm(Score):
    """A norm of the features, with a note where it hardly varies or reads signs that it was not made for."""

    family = "feature"

    for_non_negative: ClassVar[bool] = True
    """The paper has features after a ReLU in mind."""

    def fit(self, train: Train) -> Fit:
        name = type(self).__name__
        mean: float
        square: float
        negative: float
        mean, square, negative = yield (
            Mean((name, "mean"), self.score),
            Mean((name, "square"), lambda block: self.score(block).double().square()),
            NegativeShare(),
        )
        spread = max(square - mean * mean, 0.0) ** 0.5
        notes = [f"hardly varies on ID train: std/mean {percent(spread / mean)}"] if spread < FLAT * mean else []
        signed = signed_note(negative) if self.for_non_negative else None
        self.note_ = "; ".join([*notes, *([signed] if signed else [])]) or None


@SCORES.register("norm_l1")
@dataclass
class NormL1(_Norm):
    """``||x||_1``, the sum of the absolute features.

    Notes
    -----
    Negative entries count by their size. After a LayerNorm norms hardly vary; the results say so.

    References
    ----------
    Park et al., Understanding the Feature Norm for Out-of-Distribution Detection, ICCV 2023, arXiv 2310.05316,
    section 3: the norm of features after a ReLU as the largest logit of a hidden classifier. Difference:
    edadaltocg/detectors, src/detectors/methods/l1norm.py, has the opposite sign.
    """

    title = "L1 norm"
    paper = "Park et al., ICCV 2023, arXiv 2310.05316"
    year = 2023

    def score(self, block: Block) -> Tensor:
        return block.features.abs().sum(dim=1)


@SCORES.register("norm_l2")
@dataclass
class NormL2(_Norm):
    """``||x||_2``, the length of the feature vector.

    Notes
    -----
    After a LayerNorm norms hardly vary; the results say so.

    References
    ----------
    Dhamija et al., Reducing Network Agnostophobia, NeurIPS 2018, arXiv 1811.04110, on models that were not trained for
    it.
    """

    title = "L2 norm"
    paper = "Dhamija et al., NeurIPS 2018, arXiv 1811.04110"
    year = 2018

    for_non_negative: ClassVar[bool] = False

    def score(self, block: Block) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(block.features, dim=1)
        return length


@SCORES.register("nan_norm")
@dataclass
class NegativeAwareNorm(_Norm):
    """``||x||_1 / #{d : x_d > 0}``, the negative-aware norm: the mean size of the active features.

    Notes
    -----
    The paper counts active features as those above zero, which on features after a ReLU is the number of features that
    are not zero. On signed features the count stays that of the positive ones, while negative ones add to the sum; the
    results say so. A row without a positive feature is divided by 1.

    References
    ----------
    Park et al., Understanding the Feature Norm for Out-of-Distribution Detection, ICCV 2023, arXiv 2310.05316,
    equations 9 and 10. Reference code consulted: mueller-mp/maha-norm, NINCO/detection_methods.py, where the count is
    of the features that are not zero, or with an option of the positive ones.
    """

    title = "NAN"
    paper = "Park et al., ICCV 2023, arXiv 2310.05316"
    year = 2023

    def score(self, block: Block) -> Tensor:
        active = (block.features > 0).sum(dim=1).clamp_min(1)
        return block.features.abs().sum(dim=1) / active
