"""pNML: the regret of the last layer, had it been trained with the test row and any label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import TINY, Block
from moodbench.scores.gaussian import FLOAT32_CONDITION, in_range
from moodbench.scores.statistics import Moment, SecondMoment
from moodbench.scores.unit import unit_features
from moodbench.scores.vectorised import expm1_


@SCORES.register("pnml")
@dataclass
class PNML(Score):
    """``-log( sum_k p_k / (p_k + (1 - p_k) p_k^g) ) / log C`` with z = x / ||x||, p = softmax(W z + b) and
    g = a / (1 + a), a = z^T (sum_i z_i z_i^T)^+ z over the ID train rows.

    g is near 0 in the directions that many ID train rows have, and then every term is p_k: the regret is 0.

    Notes
    -----
    With u = p_k^(1 - g) a term is u / (u + 1 - p_k), and its excess over p_k is (u - p_k)(1 - p_k) / (u + 1 - p_k). The
    logarithm is taken of one plus the sum of these: all are positive, so that a small regret keeps its digits. W z + b
    follows from the logits. Directions with less than 1e-10 of the largest eigenvalue are left out of the
    pseudo-inverse.

    References
    ----------
    Bibas, Feder and Hassner, Single Layer Predictive Normalized Maximum Likelihood for Out-of-Distribution Detection,
    NeurIPS 2021, arXiv 2110.09246. Reference code: kobybibas/pnml_ood_detection, src/lit_utils/baseline_lit_utils.py.
    Difference: there the pseudo-inverse is float32 without an effective cut, so that rounding noise enters a. (Its
    src/main_score.py has another g, and a column of ones in z.)
    """

    title = "pNML"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Bibas et al., NeurIPS 2021, arXiv 2110.09246"

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        if len(train.weight) < 2:
            raise ScoreError("one class has no regret")
        moment: Moment = yield SecondMoment(unit=True)
        gram = moment.count * moment.covariance_about(torch.zeros_like(moment.mean))
        values, vectors = torch.linalg.eigh(gram)
        kept = in_range(values)
        if not bool(kept.any()):
            raise ScoreError("ID train features are zero")
        condition = float(values[-1] / values[kept][0])
        dtype = torch.float32 if condition <= FLOAT32_CONDITION else torch.float64
        self.root_ = (vectors[:, kept] / values[kept].sqrt()).to(dtype).contiguous()
        self.bias_ = train.bias

    def score(self, block: Block) -> Tensor:
        z = unit_features(block)
        a = (z.to(self.root_.dtype) @ self.root_).square().sum(dim=1).double()
        lengths = torch.linalg.vector_norm(block.features, dim=1).clamp_min_(TINY)
        logits = (block.logits - self.bias_).div_(lengths[:, None]).add_(self.bias_)  # W z + b
        log_p = torch.log_softmax(logits, dim=1)
        p = torch.softmax(logits, dim=1)
        gain = expm1_(log_p.mul_((-a / (1 + a)).float()[:, None])).mul_(p)  # u - p, with u = p^(1 - g)
        terms = (1 - p).mul_(gain).div_(gain.add_(1))  # gain + p + (1 - p)
        return -torch.log1p(terms.sum(dim=1, dtype=torch.float64)) / math.log(len(self.bias_))
