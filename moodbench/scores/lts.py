"""LTS: scale the logits of a row by how little of its activation lies in its largest entries."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.shaping import check_percentile, kept_count, sum_ratio
from moodbench.scores.machinery.statistics import Mean


@SCORES.register("lts")
@dataclass
class LTS(Score):
    """``log sum_k exp(l_k (s1 / s2)^2)``.

    s1 is the sum of all entries of max(x, 0), s2 that of its k largest. The logits are multiplied, bias and all;
    dividing by the same number, as some implementations do, has the opposite effect.

    Parameters
    ----------
    percentile : float, default=95
        k = D - round(D · percentile / 100), at least 1.

    Notes
    -----
    The ratio is at least 1, so it raises a positive energy and lowers a negative one: where ID train has a negative
    energy on average the results say so. A row without any positive entry keeps its logits.

    References
    ----------
    Djurisic et al., Logit Scaling for Out-of-Distribution Detection, 2024, arXiv 2409.01175.
    Reference code: andrijazz/lts, lts.py and ood_eval.py.
    """

    title = "LTS"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Djurisic et al., 2024, arXiv 2409.01175"
    year = 2024
    post_relu = True

    percentile: float = 95.0

    def __post_init__(self) -> None:
        check_percentile("lts", self.percentile)

    def fit(self, train: Train) -> Fit:
        energy: float = yield Mean("energy", lambda block: block.log_sum_exp)
        if energy < 0:
            self.note_ = "the mean energy of ID train is negative: a larger scale lowers the score"

    def score(self, block: Block) -> Tensor:
        k = kept_count(block.features.shape[1], self.percentile)
        ratio = sum_ratio(block, k, relu=True)
        return log_sum_exp(block.logits * ratio.square()[:, None])
