"""DOCTOR: the Gini impurity of the softmax."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block


@SCORES.register("doctor_alpha")
@dataclass
class DoctorAlpha(Score):
    """``-(1 - g) / g`` with g = sum_k p_k^2: the odds of an error, were the class drawn from the softmax itself.

    Notes
    -----
    A detector of misclassified rows. Its sibling D_beta, the odds of an error of the predicted class, orders rows
    exactly as MSP does and is no score of its own. 1 - g is summed from the small probabilities rather than subtracted
    from 1, which would round away for confident rows.

    References
    ----------
    Granese et al., DOCTOR: A Simple Method for Detecting Misclassification Errors, NeurIPS 2021, arXiv 2106.02395,
    without perturbed inputs and at temperature 1. The paper rejects large values of (1 - g) / g: negated here.
    Reference code: doctor-public-submission/DOCTOR, lib_discriminators/discriminators.py.
    """

    title = "DOCTOR"
    family = "probability"
    needs = frozenset({"logits"})
    paper = "Granese et al., NeurIPS 2021, arXiv 2106.02395"
    year = 2021

    def score(self, block: Block) -> Tensor:
        rest = block.rest.double()
        top = 1.0 / (1.0 + rest)
        others = rest * top  # 1 - p of the predicted class
        squares = block.probabilities.square().scatter_(1, block.predicted[:, None], 0.0).sum(dim=1).double()
        impurity = others * (1.0 + top) - squares
        return -impurity / (top.square() + squares)
