"""GradNorm: the size of the gradient of the head's weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block


@SCORES.register("gradnorm")
@dataclass
class GradNorm(Score):
    """``||C p - 1||_1 · ||x||_1``, the L1 norm of the gradient of -sum_k log p_k with respect to W.

    The gradient with respect to the logits is C p - 1, and that with respect to W its outer product with x, so the norm
    factorises and no autograd is needed. Entries of C p - 1 add up to zero: the norm is twice its positive part.
    The bias does not take part.

    References
    ----------
    Huang et al., On the Importance of Gradients for Detecting Distributional Shifts in the Wild, NeurIPS 2021,
    arXiv 2110.00218. Targets are all ones as in dvlab-research/MOOD, MOODv2/src/benchmark.py, with C the head's
    number of classes.
    """

    title = "GradNorm"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Huang et al., NeurIPS 2021, arXiv 2110.00218"
    year = 2021

    def score(self, block: Block) -> Tensor:
        p = block.probabilities
        classes = p.shape[1]
        positive = torch.relu_(p - 1.0 / classes).sum(dim=1)
        size: Tensor = torch.linalg.vector_norm(block.features, ord=1, dim=1)
        return 2 * classes * positive * size
