"""GEN: a generalised entropy of the largest softmax probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block
from moodbench.scores.machinery.tempered import log_rest
from moodbench.scores.machinery.vectorised import sorted_rows


@SCORES.register("gen")
@dataclass
class GEN(Score):
    """``-sum_{m=1..M} p_(m)^gamma (1 - p_(m))^gamma`` over the M largest softmax probabilities p_(1) >= p_(2) >= ...

    Parameters
    ----------
    gamma : float, default=0.1
        The exponent, as in the paper and in its code.
    top : int, default=100
        M, as there. All classes where there are fewer.

    Notes
    -----
    Powers are taken of logarithms, log p_k = l_k - log sum exp(l), and 1 - p_(1) is the sum of the other terms. A
    small power makes much of small numbers: a probability of 1e-50 still counts as 1e-5.

    References
    ----------
    Liu et al., GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection, CVPR 2023.
    Reference code: XixiLiu95/GEN, benchmark.py. Difference: there float32 probabilities that underflow count as 0, and
    so does 1 - p where p rounds to 1.
    """

    title = "GEN"
    family = "probability"
    needs = frozenset({"logits"})
    paper = "Liu et al., CVPR 2023"
    year = 2023
    sweep = {"gamma": (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0), "top": (10, 50, 100, 200, 500, 1000)}

    gamma: float = 0.1
    top: int = 100

    def __post_init__(self) -> None:
        if self.gamma <= 0 or self.top < 1:
            raise UsageError(f"'gen' needs gamma > 0 and top >= 1, got gamma={self.gamma} and top={self.top}")

    def score(self, block: Block) -> Tensor:
        logits = block.logits
        if self.top < logits.shape[1]:
            logits = block.shared("sorted_logits", lambda: sorted_rows(block.logits))[:, -self.top :]
        rest = log_rest(block)
        total = torch.logaddexp(rest, torch.zeros_like(rest))  # -log p of the predicted class
        log_p = logits.double() - block.max_logit.double()[:, None] - total[:, None]
        others = torch.log1p(-log_p.exp())
        largest = log_p.argmax(dim=1, keepdim=True)
        others.scatter_(1, largest, (rest - total)[:, None])
        return -(self.gamma * (log_p + others)).exp_().sum(dim=1)
