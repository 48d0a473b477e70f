"""MSP: the maximum softmax probability."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block


@SCORES.register("msp")
@dataclass
class MSP(Score):
    """``max_k softmax(l)_k``.

    Computed as 1 / (1 + sum over the other classes of exp(l_k - l_max)) with the division in float64. The float32
    softmax of the reference rounds confident rows to exactly 1, which ties them (up to 86 % of the rows of a saturated
    model); here they keep their order. That is the only difference.

    Notes
    -----
    It is also what one network can tell of the five orderings of Carlini et al., Distribution Density, Tails, and
    Outliers in Machine Learning, 2019, arXiv 1910.13427: its own part of `conf`, the mean confidence of several
    networks. The others need more than a cache holds: `agr` several networks trained alike, `adv` an attack on every
    image, `ret` and `priv` training anew.

    References
    ----------
    Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks,
    ICLR 2017, arXiv 1610.02136. Reference code: dvlab-research/MOOD, MOODv2/src/benchmark.py.
    """

    title = "MSP"
    family = "probability"
    needs = frozenset({"logits"})
    paper = "Hendrycks & Gimpel, ICLR 2017, arXiv 1610.02136"
    year = 2017

    def score(self, block: Block) -> Tensor:
        return 1.0 / (1.0 + block.rest.double())
