"""BFAct: damp large activations smoothly, as a Butterworth filter does."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.quantile import entry_quantile
from moodbench.scores.machinery.shaping import ShapedEnergy, check_quantile


@SCORES.register("bfact")
@dataclass
class BFAct(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x' = x / sqrt(1 + (x / tau)^(2n)), tau a quantile of all ID train entries.

    Parameters
    ----------
    quantile : float, default=0.95
        Level of tau.
    order : int, default=2
        n. With 1 large entries level off at tau; the larger it is, the faster they fall back to zero beyond tau.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    threshold_ : float
        tau.

    Notes
    -----
    Symmetric about zero, so large negative entries are damped just as large positive ones, by a tau that the
    positive ones decide.

    References
    ----------
    Kong and Li, BFAct: Out-of-distribution Detection with Butterworth Rectified Activations, in the form of Zhao et
    al., Towards Optimal Feature-Shaping Methods for Out-of-Distribution Detection, ICLR 2024, arXiv 2402.00865.
    Reference code: Qinyu-Allen-Zhao/OptFSOOD, detector/bfact.py.
    """

    title = "BFAct"
    paper = "Kong & Li, as in Zhao et al., ICLR 2024, arXiv 2402.00865"
    year = 2024

    quantile: float = 0.95
    order: int = 2

    def __post_init__(self) -> None:
        check_quantile("bfact", self.quantile)
        if self.order < 1:
            raise UsageError(f"the order of 'bfact' is at least 1, got {self.order}")

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        self.threshold_ = yield from entry_quantile(self.quantile)
        if self.threshold_ == 0:
            raise ScoreError(f"the {self.quantile:g} quantile of ID train features is zero")

    def shape(self, block: Block) -> Tensor:
        features = block.features
        # where the power overflows the entry becomes 0, the limit for n > 1
        damping = (features / self.threshold_).square_().pow_(self.order).add_(1).rsqrt_()
        return damping.mul_(features)
