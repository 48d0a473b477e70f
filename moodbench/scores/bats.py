"""BATS: clip every feature to its typical range."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.shaping import FeatureSpread, ShapedEnergy, Spread


@SCORES.register("bats")
@dataclass
class BATS(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x' = x clipped to mu ± lam · sigma, feature by feature.

    mu and sigma (divided by N) are those of each feature over ID train.

    Parameters
    ----------
    lam : float, default=1.05
        Half the width of the typical range, in standard deviations: the reference's for ImageNet (3.25 for CIFAR-10).

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    low_, high_ : (D,) float32
        Bounds of each feature.

    Notes
    -----
    Clipping about the mean means the same on signed features; the reference itself uses it on a ViT, ahead of the
    last pooling. Here the penultimate features are clipped.

    References
    ----------
    Zhu et al., Boosting Out-of-distribution Detection with Typical Features, NeurIPS 2022, arXiv 2210.04200.
    Reference code: alibaba/easyrobust, examples/ood_detection/BATS, test_ood.py, which loads mu and sigma from files.
    """

    title = "BATS"
    paper = "Zhu et al., NeurIPS 2022, arXiv 2210.04200"
    year = 2022

    lam: float = 1.05

    def __post_init__(self) -> None:
        if self.lam <= 0:
            raise UsageError(f"'bats' needs lam > 0, got {self.lam:g}")

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        spread: Spread = yield FeatureSpread()
        reach = self.lam * spread.std
        self.low_, self.high_ = (spread.mean - reach).float(), (spread.mean + reach).float()

    def shape(self, block: Block) -> Tensor:
        features = block.features
        return features.clamp(self.low_, self.high_)
