"""KL to uniform: how far the softmax is from equal probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block


@SCORES.register("klu")
@dataclass
class KLToUniform(Score):
    """``log sum_k exp(l_k) - mean_k l_k``, the cross entropy of the uniform distribution and the softmax.

    It is KL(u || p) + log C, the other direction of the divergence that the entropy measures: the smallest
    probabilities decide here, the largest there. It is also the loss whose gradient GradNorm takes.

    References
    ----------
    Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, ICLR 2019, arXiv 1812.04606: their alternative to
    MSP, negated. Reference code: hendrycks/outlier-exposure, CIFAR/test.py; roomo7time/nnguide, ood_detectors/kl.py.
    """

    title = "KL to uniform"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Hendrycks et al., ICLR 2019, arXiv 1812.04606"
    year = 2019

    def score(self, block: Block) -> Tensor:
        below = block.max_logit[:, None] - block.logits
        return torch.log1p(block.rest) + below.mean(dim=1)
