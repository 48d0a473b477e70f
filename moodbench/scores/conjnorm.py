"""ConjNorm: a density of the exponential family with the divergence of a conjugate norm."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.gaussian import empty_classes
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums, Statistic
from moodbench.scores.machinery.unit import pieces

_TINY = torch.finfo(torch.float64).tiny


class LogSumsByLabel(Statistic[Tensor]):
    """log sum exp(v) over the rows of each label, (K,) float64; -inf for labels without rows.

    Parameters
    ----------
    name : hashable
        What v is: equal names must mean equal numbers.
    labels : int
        K.
    values : callable
        Block → (B,) tensor: v of each row and its own label.
    """

    def __init__(self, name: Hashable, labels: int, values: Callable[[Block], Tensor]) -> None:
        self.name, self.labels, self.values = name, labels, values
        self._top: Tensor | None = None
        self._sum: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("log_sums_by_label", self.labels, self.name)

    def update(self, block: Block) -> None:
        label = block.labels
        values = self.values(block).double()
        known = label >= 0
        label, values = label[known], values[known]
        top = torch.full((self.labels,), -torch.inf, dtype=torch.float64, device=values.device)
        top.scatter_reduce_(0, label, values, reduce="amax")
        self._add(top, torch.zeros_like(top).index_add_(0, label, (values - top[label]).exp()))

    def _add(self, top: Tensor, total: Tensor) -> None:
        if self._top is None or self._sum is None:
            self._top, self._sum = top, total
            return
        both = torch.maximum(self._top, top)
        shift = torch.where(both > -torch.inf, both, 0.0)  # a label without rows: 0 · exp(-inf)
        self._sum = self._sum * (self._top - shift).exp() + total * (top - shift).exp()
        self._top = both

    def merge(self, other: Self) -> None:
        if other._top is not None and other._sum is not None:
            self._add(other._top, other._sum)

    def finalize(self) -> Tensor:
        if self._top is None or self._sum is None:
            raise ValueError("no rows were seen")
        return self._top + self._sum.log()


@SCORES.register("conjnorm")
@dataclass
class ConjNorm(Score):
    """``log sum_k exp(d_k(x)) / Z_k`` with ``d_k(x) = (z · m_k - ||z||_q^2 / 2) / t`` and Z_k the sum of exp(d_k) over
    the ID train rows of class k.

    z = x / ||x||_p, and m_k is the gradient of ||v||_q^2 / 2 at the class mean v_k, itself scaled to ||v_k||_p = 1:
    m_k = sign(v_k) |v_k|^(q-1) / ||v_k||_q^(q-2), with 1/p + 1/q = 1. Class means go by label; classes without rows are
    left out.

    Parameters
    ----------
    p : float, default=1.5
        The norm, greater than 1: the authors' value for ImageNet with a ResNet-50. They take 2.2 to 2.5 for CIFAR.
    temperature : float, default=0.0005
        t, likewise. They take 0.05 to 0.08 for CIFAR.

    Attributes
    ----------
    rows_ : _Rows
        Takes rows to what the divergence is measured in.
    gradients_ : (D, K) float32
        m_k of the K classes that have rows, less their mean.
    levels_ : (K,) float32
        What the density of each class has besides the product with z.

    Notes
    -----
    Exponents reach hundreds, so sums are taken of logarithms.

    References
    ----------
    Peng et al., ConjNorm: Tractable Density Estimation for Out-of-Distribution Detection, ICLR 2024, arXiv 2402.17888.
    Reference code: the authors' run_imagenet_resnet.py. Difference: it takes ||v_k||_q over the classes instead of over
    the features of one class; here it is the gradient that the paper defines. (For CIFAR its Z_k runs over a bootstrap
    sample of all classes' rows.)
    """

    title = "ConjNorm"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Peng et al., ICLR 2024, arXiv 2402.17888"
    year = 2024

    p: float = 1.5
    temperature: float = 5e-4

    def __post_init__(self) -> None:
        if self.p <= 1 or self.temperature <= 0:
            raise UsageError(
                f"'conjnorm' needs p > 1 and temperature > 0, got p={self.p} and temperature={self.temperature}"
            )

    def fit(self, train: Train) -> Fit:
        q = self.p / (self.p - 1)
        classes: GroupSums = yield FeatureSumsByLabel(train.label_classes)
        v = _to_norm(classes.means, self.p)
        size = torch.linalg.vector_norm(v, ord=q, dim=1, keepdim=True).clamp_min(_TINY)
        gradients = v.sign() * (v.abs() / size).pow(q - 1) * size
        present = classes.counts > 0
        centre = _to_norm(classes.sums.sum(dim=0, keepdim=True), self.p)[0]
        middle = gradients[present].mean(dim=0)
        self.rows_ = _Rows(self.p, centre, middle)
        self.gradients_ = (gradients - middle).float()
        self.levels_ = (gradients @ centre - self.rows_.half_square(centre)) / self.temperature
        sums: Tensor = yield LogSumsByLabel((self.p, self.temperature), train.label_classes, self._own_density)
        self.gradients_ = self.gradients_[present].T.contiguous()
        self.levels_ = (self.levels_ - sums)[present].float()
        self.note_ = empty_classes(train, int(present.sum()))

    def _own_density(self, block: Block) -> Tensor:
        """Return d_k of each row for its own label k, (B,) float64; any number where the label is unknown."""
        ways, common = self.rows_.of(block)
        label = block.labels.clamp_min(0)
        own = torch.linalg.vecdot(ways, self.gradients_.index_select(0, label)).double()
        densities: Tensor = (own + common) / self.temperature + self.levels_.index_select(0, label)
        return densities

    def score(self, block: Block) -> Tensor:
        ways, common = self.rows_.of(block)
        densities = torch.addmm(self.levels_, ways, self.gradients_, alpha=1 / self.temperature)
        return log_sum_exp(densities) + common / self.temperature


@dataclass(frozen=True, eq=False)
class _Rows:
    """What the density of a row is made of, taken about a point c in the midst of ID train.

    With z = x / ||x||_p and g the mean gradient, z · m_k - ||z||_q^2 / 2 is (z - c) · (m_k - g), plus what it is at c,
    plus (z · g - ||z||_q^2 / 2) less its value at c. The temperature divides all by 0.0005: about zero, float32 would
    round to a thousand times more than the scores of some data differ by.

    Attributes
    ----------
    p : float
    centre : (D,) float64
        c.
    gradient : (D,) float64
        g.
    """

    p: float
    centre: Tensor
    gradient: Tensor

    def half_square(self, z: Tensor) -> Tensor:
        """Return ||z||_q^2 / 2 of rows (..., D)."""
        q = self.p / (self.p - 1)
        return _power(z.abs(), q).sum(dim=-1).pow(2 / q) / 2

    def of(self, block: Block) -> tuple[Tensor, Tensor]:
        """Return z - c, (B, D) float32, and z · g - ||z||_q^2 / 2 less its value at c, (B,) float64."""
        rows = block.features
        ways, common = torch.empty_like(rows), rows.new_empty(len(rows), dtype=torch.float64)
        for some in pieces(rows):
            z = rows[some].double()
            z /= _power(z.abs(), self.p).sum(dim=1, keepdim=True).pow_(1 / self.p).clamp_min_(_TINY)
            common[some] = z @ self.gradient - self.half_square(z)
            ways[some] = z.sub_(self.centre)
        return ways, common - (self.centre @ self.gradient - self.half_square(self.centre))


def _to_norm(rows: Tensor, p: float) -> Tensor:
    """Return rows (K, D) divided by their p-norm; rows of zeros stay zero."""
    norms: Tensor = torch.linalg.vector_norm(rows, ord=p, dim=1, keepdim=True)
    return rows / norms.clamp_min(_TINY)


def _power(entries: Tensor, exponent: float) -> Tensor:
    """Return entries^exponent for entries >= 0, by products where the exponent is 1.5 or 3: ten times faster."""
    if exponent == 1.5:
        return entries.sqrt().mul_(entries)
    return entries.square().mul_(entries) if exponent == 3 else entries.pow(exponent)
