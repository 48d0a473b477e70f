"""PCA reconstruction error of the features."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.reconstruction import check_explained, residual_space
from moodbench.scores.machinery.statistics import Moment, SecondMoment


@SCORES.register("pca_recon")
@dataclass
class PCARecon(Score):
    """``-||(I - P)(x - mu)||``, P the principal directions of ID train about its mean mu.

    Parameters
    ----------
    explained : float, default=0.99
        As many principal directions as make up this share of the variance, as in `cop` (all but one at most).

    Attributes
    ----------
    space_ : ResidualSpace
        What the principal directions leave out.

    Notes
    -----
    `residual` with another origin and another number of directions.

    References
    ----------
    The plain PCA that Fang et al., Kernel PCA for Out-of-Distribution Detection, NeurIPS 2024, arXiv 2402.02949, set
    out from. Reference code: fanghenshaometeor/ood-kernel-pca, CoP_CoRP_ImgNet.py, without the scaling to unit length.
    """

    title = "PCA reconstruction"
    family = "feature"
    paper = "Fang et al., NeurIPS 2024, arXiv 2402.02949"
    year = 2024

    explained: float = 0.99

    def __post_init__(self) -> None:
        check_explained("pca_recon", self.explained)

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment()
        self.space_ = residual_space(train, moment, self.explained, unit=False)

    def score(self, block: Block) -> Tensor:
        return -self.space_.error(block)
