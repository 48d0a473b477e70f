"""DICE: use only the head's weights that contribute most to the logits of ID train."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.quantile import entry_quantile
from moodbench.scores.machinery.shaping import FeatureSpread, ShapedEnergy, Spread, check_percentile, check_quantile
from moodbench.scores.machinery.vectorised import sorted_rows


@SCORES.register("dice")
@dataclass
class DICE(ShapedEnergy):
    """``log sum_k exp(((W * M) x + b)_k)``, M the mask of the weights of largest contribution.

    The contribution of weight W_kd is mu_d W_kd with mu the mean row of ID train; M keeps those above a percentile of
    all C·D of them.

    Parameters
    ----------
    percentile : float, default=70
        Share of the weights that is dropped: 70 for ImageNet, 90 for CIFAR in the reference.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head, its weights masked.

    Notes
    -----
    On signed features a few channels with a large mean can take most of the mask.

    References
    ----------
    Sun and Li, DICE: Leveraging Sparsification for Out-of-Distribution Detection, ECCV 2022, arXiv 2111.09805.
    Reference code: deeplearning-wisc/dice, models/route.py.
    """

    title = "DICE"
    paper = "Sun & Li, ECCV 2022, arXiv 2111.09805"
    year = 2022
    sweep = {"percentile": (10.0, 30.0, 50.0, 70.0, 90.0)}

    percentile: float = 70.0

    def __post_init__(self) -> None:
        check_percentile("dice", self.percentile)

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        spread: Spread = yield FeatureSpread()
        self.weight_ = masked(self.weight_, spread.mean, self.percentile)

    def shape(self, block: Block) -> Tensor:
        features = block.features
        return features


@SCORES.register("dice_react")
@dataclass
class DICEReAct(ShapedEnergy):
    """``log sum_k exp(((W * M) min(x, tau) + b)_k)``: the mask of DICE on features clipped as in ReAct.

    Parameters
    ----------
    percentile : float, default=10
        Share of the weights that is dropped. Far less than without clipping; what the reference notes for a ResNet-50
        on ImageNet.
    quantile : float, default=0.9
        Level of tau among all ID train feature entries.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head, its weights masked.
    threshold_ : float
        tau.

    Notes
    -----
    The mask is made with the mean of the features before clipping, as in the reference, where tau is a number, 1.

    References
    ----------
    Sun and Li, ECCV 2022, arXiv 2111.09805. Reference code: deeplearning-wisc/dice, models/resnet.py, models/route.py
    and demo-imagenet.sh.
    """

    title = "DICE + ReAct"
    paper = "Sun & Li, ECCV 2022, arXiv 2111.09805"
    year = 2022

    percentile: float = 10.0
    quantile: float = 0.9

    def __post_init__(self) -> None:
        check_percentile("dice_react", self.percentile)
        check_quantile("dice_react", self.quantile)

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        spread: Spread = yield FeatureSpread()
        self.weight_ = masked(self.weight_, spread.mean, self.percentile)
        self.threshold_ = yield from entry_quantile(self.quantile)

    def shape(self, block: Block) -> Tensor:
        features = block.features
        return features.clamp_max(self.threshold_)


def masked(weight: Tensor, mean: Tensor, percentile: float) -> Tensor:
    """Return `weight` (C, D) float32 with those set to zero that contribute least; `mean` is (D,) float64."""
    contribution = weight.double() * mean
    # Interpolating a percentile moves it towards the next larger value, which stays in either way.
    rank = int(percentile / 100 * (contribution.numel() - 1))
    threshold = sorted_rows(contribution.reshape(1, -1))[0, rank]
    return torch.where(contribution > threshold, weight, 0.0)
