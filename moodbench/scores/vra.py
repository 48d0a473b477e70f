"""VRA: drop low activations and clip high ones, feature by feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.shaping import ShapedEnergy, signed_note
from moodbench.scores.machinery.statistics import NegativeShare
from moodbench.scores.machinery.vectorised import sorted_rows


@SCORES.register("vra")
@dataclass
class VRA(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x'_d = 0 below low_d, high_d above high_d, x_d between (VRA-P).

    Parameters
    ----------
    low, high : float, default=0.6, 0.95
        Levels of the quantiles of each feature over ID train that low_d and high_d are: the reference's for CIFAR-100
        (it takes 0.6 and 0.9 for CIFAR-10).
    absolute : bool, default=False
        Take `low` and `high` for the bounds themselves, the same for all features: 0.5 and 1 is what the reference
        takes for ResNets on ImageNet.
    rows : int, default=10000
        The quantiles are those of so many ID train rows, drawn at random, or of all if there are fewer.
    seed : int, default=0
        Of the sample.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    low_, high_ : (D,) float32
        Bounds of each feature; of all alike, () float32, where they are given.

    Notes
    -----
    Published for features after a ReLU. On signed ones low_d may be negative, and what lies below it is raised to
    zero; it runs as written, and the results say so. The score that other toolkits call VRA raises low values to a
    bound instead of dropping them.

    References
    ----------
    Xu et al., VRA: Variational Rectified Activation for Out-of-distribution Detection, NeurIPS 2023, arXiv 2302.11716.
    Reference code: zeroQiaoba/VRA, ood_eval.py and models/resnet.py, without the constant that VRA+ adds.
    """

    title = "VRA"
    paper = "Xu et al., NeurIPS 2023, arXiv 2302.11716"
    year = 2023
    sweep = {"low": (0.5, 0.6, 0.7), "high": (0.8, 0.85, 0.9, 0.95, 0.99)}
    post_relu = True

    low: float = 0.6
    high: float = 0.95
    absolute: bool = False
    rows: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise UsageError(f"'vra' needs low <= high, got {self.low:g} and {self.high:g}")
        if not self.absolute and not 0 <= self.low <= self.high <= 1:
            raise UsageError(
                f"the quantiles of 'vra' lie in [0, 1], got {self.low:g} and {self.high:g}",
                fix="set absolute=true to give the bounds themselves",
            )
        if self.rows < 1:
            raise UsageError(f"'vra' needs at least one row, got rows={self.rows}")

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        share: float
        if self.absolute:
            share = yield NegativeShare()
            self.low_, self.high_ = (torch.tensor(v, device=train.device) for v in (self.low, self.high))
        else:
            sample: Rows
            share, sample = yield NegativeShare(), Sample(self.rows, seed=self.seed)
            columns = sorted_rows(sample.features.T.contiguous())
            self.low_, self.high_ = (_column_quantile(columns, level) for level in (self.low, self.high))
        self.note_ = signed_note(share)

    def shape(self, block: Block) -> Tensor:
        features = block.features
        inside = torch.ge(features, self.low_, out=torch.empty_like(features))
        return features.minimum(self.high_).mul_(inside)


def _column_quantile(columns: Tensor, level: float) -> Tensor:
    """Return the quantile of every feature, (D,) float32, of its sorted values (D, n), interpolated linearly.

    `torch.quantile` refuses more than 16 million entries.
    """
    position = level * (columns.shape[1] - 1)
    below = int(position)
    above = min(below + 1, columns.shape[1] - 1)
    return columns[:, below].double().lerp(columns[:, above].double(), position - below).float()
