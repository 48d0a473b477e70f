"""SCALE: scale a row by how little of its activation lies in its largest entries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.shaping import check_percentile, gain, kept_count, signed_note, sum_ratio
from moodbench.scores.machinery.statistics import NegativeShare


@SCORES.register("scale")
@dataclass
class SCALE(Score):
    """``log sum_k exp((a W x + b)_k)`` with a = exp(s1 / s2).

    s1 is the sum of all entries of x, s2 that of its k largest. Nothing is pruned, and the bias is not scaled, so the
    logits follow from the plain ones, a (l - b) + b, without another product with the head.

    Parameters
    ----------
    percentile : float, default=85
        k = D - round(D · percentile / 100), at least 1.
    relu : bool, default=False
        Count negative entries as zero in s1 and s2. Not published: it gives the ratio a meaning on signed features.

    Attributes
    ----------
    bias_ : (C,) float32
        That of the head.

    Notes
    -----
    Published for features after a ReLU. On signed ones s1 / s2 is close to zero and of either sign; it runs as written,
    and the results say so. s2 = 0 counts as a ratio of 1, and the exponent is cut at 80; the reference gives NaN there.

    References
    ----------
    Xu et al., Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement, ICLR 2024,
    arXiv 2310.00227. Reference code: kai422/SCALE, openood/networks/scale_net.py.
    """

    title = "SCALE"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Xu et al., ICLR 2024, arXiv 2310.00227"
    year = 2024
    sweep = {"percentile": (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)}
    post_relu = True

    percentile: float = 85.0
    relu: bool = False

    def __post_init__(self) -> None:
        check_percentile("scale", self.percentile)

    def fit(self, train: Train) -> Fit:
        assert train.bias is not None
        self.bias_ = train.bias
        share: float = yield NegativeShare()
        self.note_ = signed_note(share)

    def score(self, block: Block) -> Tensor:
        ratio = sum_ratio(block, kept_count(block.features.shape[1], self.percentile), relu=self.relu)
        return log_sum_exp(torch.addcmul(self.bias_, gain(ratio)[:, None], block.logits - self.bias_))
