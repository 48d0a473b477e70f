"""CoP and CoRP: PCA reconstruction errors under a cosine and under a cosine-Gaussian kernel; and CoP times a score."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.confidence import CONFIDENCES, check_confidence, negative_share
from moodbench.scores.machinery.reconstruction import (
    Fourier,
    FourierMoment,
    check_explained,
    fourier_space,
    residual_space,
)
from moodbench.scores.machinery.statistics import Moment, SecondMoment

PAPER = "Fang et al., NeurIPS 2024, arXiv 2402.02949"


@SCORES.register("cop")
@dataclass
class CoP(Score):
    """``-||(I - P)(z - m)||`` with z = x / ||x||, P the principal directions of the ID train rows z about their mean m.

    Parameters
    ----------
    explained : float, default=0.99
        As many principal directions as make up this share of the variance (all but one at most): the paper's value for
        ImageNet. The paper takes 0.85 for CIFAR-10.

    Attributes
    ----------
    space_ : ResidualSpace
        What the principal directions leave out.

    References
    ----------
    Fang et al., Kernel PCA for Out-of-Distribution Detection, NeurIPS 2024, arXiv 2402.02949, where it is called CoP.
    Reference code: fanghenshaometeor/ood-kernel-pca, CoP_CoRP_ImgNet.py.
    """

    title = "CoP"
    family = "feature"
    paper = PAPER
    year = 2024

    explained: float = 0.99

    def __post_init__(self) -> None:
        check_explained("cop", self.explained)

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment(unit=True)
        self.space_ = residual_space(train, moment, self.explained, unit=True)

    def score(self, block: Block) -> Tensor:
        return -self.space_.error(block)


@SCORES.register("corp")
@dataclass
class CoRP(Score):
    """``-||(I - P)(phi(z) - m)||`` with phi random Fourier features of a Gaussian kernel, z = x / ||x||.

    P are the principal directions of the ID train rows phi(z) about their mean m.

    Parameters
    ----------
    explained : float, default=0.5
        As many principal directions as make up this share of the variance: the paper's value for ImageNet, as is gamma.
    gamma : float, default=3
        The kernel is exp(-gamma ||z - z'||^2).
    dimensions : int, default=0
        Number M of Fourier features. 0 takes twice the feature width, as the paper has for ImageNet.
    seed : int, default=0
        Of the random directions and phases.

    Attributes
    ----------
    space_ : ResidualSpace
        What the principal directions leave out.

    Notes
    -----
    ID train is needed as an M x M matrix.

    References
    ----------
    Fang et al., Kernel PCA for Out-of-Distribution Detection, NeurIPS 2024, arXiv 2402.02949, where it is called CoRP.
    Reference code: fanghenshaometeor/ood-kernel-pca, CoP_CoRP_ImgNet.py.
    """

    title = "CoRP"
    family = "feature"
    paper = PAPER
    year = 2024
    cost = "many directions"

    explained: float = 0.5
    gamma: float = 3.0
    dimensions: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_explained("corp", self.explained)
        if self.gamma <= 0 or self.dimensions < 0:
            raise UsageError(
                f"'corp' needs gamma > 0 and dimensions >= 0, got gamma={self.gamma} and dimensions={self.dimensions}"
            )

    def fit(self, train: Train) -> Fit:
        fourier = Fourier(train, self.dimensions or 2 * train.dim, self.gamma, self.seed)
        moment: Moment = yield FourierMoment(fourier)
        self.space_ = fourier_space(fourier, moment, self.explained)

    def score(self, block: Block) -> Tensor:
        return -self.space_.error(block)


@SCORES.register("cop_fused")
@dataclass
class CoPFused(Score):
    """``(1 - e(x)) · S(x)`` with e the reconstruction error of `cop` and S a confidence of the head.

    Parameters
    ----------
    explained : float, default=0.9
        As in `cop`; the authors' value for fusion on ImageNet with a ResNet-50.
    confidence : str, default="energy"
        S: ``energy``, ``msp``, ``max_logit`` or ``gen``. The paper has the first two, and ReAct and BATS.

    Attributes
    ----------
    space_ : ResidualSpace
        What the principal directions leave out.

    Notes
    -----
    e lies between 0 and 2. Where S is negative, a larger error raises the score.

    References
    ----------
    Fang et al., Kernel PCA for Out-of-Distribution Detection, NeurIPS 2024, arXiv 2402.02949. Reference code:
    fanghenshaometeor/ood-kernel-pca, utils_ood.py and run_detection_fusion.sh.
    """

    title = "CoP fused"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = PAPER
    year = 2024

    explained: float = 0.9
    confidence: str = "energy"

    def __post_init__(self) -> None:
        check_explained("cop_fused", self.explained)
        check_confidence("cop_fused", self.confidence)

    def fit(self, train: Train) -> Fit:
        moment: Moment
        negative: float
        moment, negative = yield SecondMoment(unit=True), negative_share(self.confidence)
        if negative > 0:
            self.note_ = f"{100 * negative:.3g} % of ID train has a negative {self.confidence}: errors raise its score"
        self.space_ = residual_space(train, moment, self.explained, unit=True)

    def score(self, block: Block) -> Tensor:
        return (1.0 - self.space_.error(block)) * CONFIDENCES[self.confidence](block)
