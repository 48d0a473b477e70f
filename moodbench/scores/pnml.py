"""pNML: the regret of the last layer, had it been trained with the test row and any label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import LOG2_E, TINY, Block
from moodbench.scores.machinery.gaussian import (
    FLOAT32_CONDITION,
    RCOND,
    PrincipalAxes,
    in_range,
    narrow_note,
    principal_axes,
)
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import Moment, SecondMoment
from moodbench.scores.machinery.unit import unit_features
from moodbench.scores.machinery.vectorised import expm1_

SMALL = 1e-20
"""Of a row whose regret is below this, probabilities are too small for a float32, and all is done in float64."""


@SCORES.register("pnml")
@dataclass
class PNML(Score):
    """``-log( sum_k p_k / (p_k + (1 - p_k) p_k^g) ) / log C`` with z = x / ||x||, p = softmax(W z + b) and
    g = a / (1 + a), a = z^T (sum_i z_i z_i^T)^+ z over the ID train rows.

    g is near 0 in the directions that many ID train rows have, and then every term is p_k: the regret is 0.

    Attributes
    ----------
    bias_ : (C,) float32
        That of the head.
    leverage_ : Leverage or None
        a, from coordinates that other scores have too; None where that is not exact enough.
    root_ : (D, r) float32 or float64
        Where there is no `leverage_`: a is the squared length of z times this.

    Notes
    -----
    With u = p_k^(1 - g) a term is u / (u + 1 - p_k), and its excess over p_k is (u - p_k)(1 - p_k) / (u + 1 - p_k). The
    logarithm is taken of one plus the sum of these: all are positive, so that a small regret keeps its digits. u - p_k
    is taken as u (1 - p_k^g), in which nothing overflows, however small p_k and large g are. W z + b
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
    year = 2021

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        if len(train.weight) < 2:
            raise ScoreError("one class has no regret")
        moment: Moment = yield SecondMoment(unit=True)
        self.bias_ = train.bias
        mean = moment.mean
        total = principal_axes(train, "total", mean, lambda: moment.covariance_about(mean), unit=True)
        self.leverage_ = Leverage.of(total, mean, moment.count)
        if self.leverage_ is not None:
            self.note_ = total.note
            return
        gram = moment.count * moment.covariance_about(torch.zeros_like(mean))
        values, vectors = torch.linalg.eigh(gram)
        kept = in_range(values)
        if not bool(kept.any()):
            raise ScoreError("ID train features are zero")
        self.note_ = narrow_note(values, moment.count * total.noise)
        condition = float(values[-1] / values[kept][0])
        dtype = torch.float32 if condition <= FLOAT32_CONDITION else torch.float64
        self.root_ = (vectors[:, kept] / values[kept].sqrt()).to(dtype).contiguous()

    def score(self, block: Block) -> Tensor:
        if self.leverage_ is not None:
            a = self.leverage_.rows(block)
        else:
            a = product(unit_features(block).to(self.root_.dtype), self.root_).square().sum(dim=1).double()
        lengths = torch.linalg.vector_norm(block.features, dim=1).clamp_min_(TINY)
        logits = (block.logits - self.bias_).div_(lengths[:, None]).add_(self.bias_)  # W z + b
        g = a / (1 + a)
        excess = _excess(logits, g.float())
        small = (excess < SMALL).nonzero()[:, 0]
        if len(small):
            excess.index_copy_(0, small, _excess(logits[small].double(), g[small]))
        return -torch.log1p(excess) / math.log(len(self.bias_))


def _excess(logits: Tensor, g: Tensor) -> Tensor:
    """Return by how much the terms of each row exceed 1 in sum, (B,) float64; logits (B, C) and g (B,) of one type."""
    log_p = torch.log_softmax(logits, dim=1)
    p = torch.softmax(logits, dim=1)
    u = log_p.mul(((1 - g) * LOG2_E)[:, None]).exp2_()
    gain = expm1_(log_p.mul_(g[:, None])).mul_(u).neg_()  # u - p: p^g - 1 is between -1 and 0, while p^-g may overflow
    terms = (1 - p).mul_(gain).div_(gain.add_(1))  # gain + p + (1 - p)
    return terms.sum(dim=1, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Leverage:
    """a = z^T (N (S + m m^T))^+ z from coordinates t of z - m along the axes of the covariance S of N rows with mean m.

    That saves a product, because other scores have these coordinates anyway. With q = t^T S^-1 t, s = m^T S^-1 t and
    r = m^T S^-1 m, N a = q + 1 - (1 - s)^2 / (1 + r) by the Sherman-Morrison formula, where m lies in the range of S.

    Attributes
    ----------
    axes : PrincipalAxes
    count : int
        N.
    precisions : (D,) float32
        One over the eigenvalues; 0 for null directions.
    pull : (D,) float32
        S^+ m, in coordinates.
    size : float
        r.
    """

    axes: PrincipalAxes
    count: int
    precisions: Tensor
    pull: Tensor
    size: float

    @classmethod
    def of(cls, axes: PrincipalAxes, mean: Tensor, count: int) -> Leverage | None:
        """Return it; None where S is ill-conditioned or the mean lies outside of its range."""
        kept = in_range(axes.values)
        along = mean @ axes.vectors
        least = axes.values[kept][:1]
        scale = axes.values[-1] + along.square().sum()
        if len(least) == 0 or float(least) * FLOAT32_CONDITION < float(scale):
            return None
        if float(along[~kept].square().sum()) > RCOND / 100 * float(scale):  # clearly what the pseudo-inverse drops
            return None
        precisions = torch.where(kept, 1 / axes.values, 0.0)
        size = float((along.square() * precisions).sum())
        return cls(axes, count, precisions.float(), (along * precisions).float(), size)

    def rows(self, block: Block) -> Tensor:
        """Return a for every row, (B,) float64."""
        t = self.axes.rows(block)
        own = t.square().mul_(self.precisions).sum(dim=1, dtype=torch.float64)
        across = (t @ self.pull).double()
        return (own + 1 - (1 - across).square() / (1 + self.size)) / self.count
