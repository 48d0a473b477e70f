"""MaxLogit: the largest logit."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block


@SCORES.register("max_logit")
@dataclass
class MaxLogit(Score):
    """``max_k l_k``.

    References
    ----------
    Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022, arXiv 1911.11132.
    """

    title = "MaxLogit"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Hendrycks et al., ICML 2022, arXiv 1911.11132"
    year = 2022

    def score(self, block: Block) -> Tensor:
        return block.max_logit
