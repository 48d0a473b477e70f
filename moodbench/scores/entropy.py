"""Entropy: the Shannon entropy of the softmax."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block


@SCORES.register("entropy")
@dataclass
class Entropy(Score):
    """``sum_k p_k log p_k``, the negative entropy of the softmax.

    Notes
    -----
    Orders rows as the divergence of the softmax from the uniform distribution, KL(p || u) = log C - H, does.
    With c the predicted class the sum is sum_k p_k (l_k - l_c) - log(sum_k exp(l_k - l_c)), which has terms of one sign
    only and, for confident rows, no difference of large numbers.

    References
    ----------
    Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017,
    arXiv 1612.01474, who compare the entropy on known and unknown classes; there of an ensemble, here of one model.
    Reference code: XixiLiu95/GEN, benchmark.py, which takes the logarithm of the float32 softmax: not a number where
    an entry underflows.
    """

    title = "Entropy"
    family = "probability"
    needs = frozenset({"logits"})
    paper = "Lakshminarayanan et al., NeurIPS 2017, arXiv 1612.01474"
    year = 2017

    def score(self, block: Block) -> Tensor:
        return negative_entropy(block)


def negative_entropy(block: Block) -> Tensor:
    """Return sum_k p_k log p_k, (B,) float32, computed once a block."""

    def compute() -> Tensor:
        below = block.logits - block.max_logit[:, None]
        return below.mul_(block.probabilities).sum(dim=1) - torch.log1p(block.rest)

    return block.shared("negative_entropy", compute)
