"""ViM: virtual-logit matching."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Mean, Moment, SecondMoment
from moodbench.scores.machinery.subspace import null_space
from moodbench.scores.residual import reference_dim


@SCORES.register("vim")
@dataclass
class ViM(Score):
    """``log sum_k exp(l_k) - alpha · ||R^T (x - u)||``.

    R spans the directions of least second moment of ID train about u = -pinv(W) b, and alpha makes the virtual logit
    as large as the largest logit on average over ID train: alpha = mean(max_k l_k) / mean(||R^T (x - u)||).
    The paper's form, the softmax probability of the virtual logit, orders rows in the same way.

    Parameters
    ----------
    dim : int, default=0
        Dimensions of the principal space. 0 takes the reference's rule: the number of classes for D >= 2048, 512 for
        D >= 768, else half of D.

    Attributes
    ----------
    space_ : NullSpace
        R and u.
    alpha_ : float
        The weight of the residual.

    References
    ----------
    Wang et al., ViM: Out-of-Distribution with Virtual-logit Matching, CVPR 2022, arXiv 2203.10807, equations 3 to 6.
    Reference code: dvlab-research/MOOD, MOODv2/src/benchmark.py. Differences: a symmetric eigen-solver in float64, and
    half of D where the rule would leave no null space (there the reference divides zero by zero).
    """

    title = "ViM"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Wang et al., CVPR 2022, arXiv 2203.10807"
    year = 2022
    sweep = {"dim": (256, 512, 1000)}

    dim: int = 0

    def __post_init__(self) -> None:
        if self.dim < 0:
            raise UsageError(f"the principal dimensions of 'vim' cannot be negative, got {self.dim}")

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        moment: Moment = yield SecondMoment()
        space = null_space(train, moment, self.dim or reference_dim(train.dim, train.weight.shape[0]))
        self.space_ = space
        logit: float
        residual: float
        logit, residual = yield (
            Mean("max_logit", lambda block: block.max_logit),
            Mean(("residual", *space.key), space.residual),
        )
        self.alpha_ = logit / residual if residual > 0 else 0.0
        if residual <= 0:
            self.note_ = "ID train rows have no residual: the score is the energy"
        elif self.alpha_ <= 0:
            self.note_ = "the mean largest logit of ID train is not positive: alpha rewards residuals"

    def score(self, block: Block) -> Tensor:
        return block.log_sum_exp - self.alpha_ * self.space_.residual(block)
