"""KL-Matching: the divergence from the nearest class template of softmax probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.entropy import negative_entropy
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import GroupSums, ProbabilitySumsByPrediction

INFINITE = 3e38
"""Stands for -log 0 in the product of p with log q: times 0 it is 0, times any probability above `LEAST` it exceeds
`FARTHEST`. An infinity would make NaN of p = 0, and a product of its own for the zeros would double the cost."""

LEAST = 1e-30
"""Probabilities of a row below this count as 0: times any finite log q they add nothing that a float32 holds."""

FARTHEST = 1e4
"""No divergence from templates with entries above the smallest normal float64 is larger than 709."""


@SCORES.register("kl_matching")
@dataclass
class KLMatching(Score):
    """``-min_k KL(p || q_k)`` with q_k the mean softmax of the ID train rows *predicted* as class k.

    For a block, KL is the negative entropy of p less one product of p with log q. Where q is zero (below 1e-308) the
    divergence of a row with probability there is infinite; templates of classes that nothing was predicted as are left
    out. A row that is infinitely far from every template scores -inf, which ranks last.

    Attributes
    ----------
    log_templates_ : (K, C) float32
        log q_k of the classes that something was predicted as.

    References
    ----------
    Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022, arXiv 1911.11132,
    in the form of dvlab-research/MOOD, MOODv2/src/benchmark.py.
    """

    title = "KL-Matching"
    family = "probability"
    needs = frozenset({"logits"})
    paper = "Hendrycks et al., ICML 2022, arXiv 1911.11132"
    year = 2022

    def fit(self, train: Train) -> Fit:
        assert train.classes is not None
        sums: GroupSums = yield ProbabilitySumsByPrediction(train.classes)
        templates = sums.means[sums.counts > 0]
        best = templates.argmax(dim=1, keepdim=True)
        others = templates.scatter(1, best, 0.0).sum(dim=1, keepdim=True)
        logs = templates.log().scatter(1, best, torch.log1p(-others))  # which an entry near 1 would round away
        self.log_templates_ = logs.clamp_min_(-INFINITE).float()

    def score(self, block: Block) -> Tensor:
        p = torch.threshold(block.probabilities, LEAST, 0.0)
        cross = product(p, self.log_templates_.T).amax(dim=1)
        cross.masked_fill_(cross < -FARTHEST, -torch.inf)
        return cross - negative_entropy(block)
