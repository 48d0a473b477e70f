"""The density of ID train as a mixture of one Gaussian a class, each with a covariance of its own."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import FLOAT32_CONDITION, empty_classes
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums, Statistic

MOST_FLOATS = 64_000_000
"""C·D² may be at most this: the second moments take half a gigabyte then. It is enough for 100 classes of 768 features,
and not for 1000."""

_WORK = 1 << 24
"""Floats of scratch space; classes are worked on together, as many as fit."""


class ClassScatters(Statistic[Tensor]):
    """Second moments of the rows of every class about one fixed point, (K, D, D) float64.

    Parameters
    ----------
    classes : int
        K.
    shift : (D,) float64
        The point that the moments are taken about; it takes the bulk of the size out of the sums.
    """

    divisible = False  # gigabytes, where classes are many

    def __init__(self, classes: int, shift: Tensor) -> None:
        self.classes = classes
        self.shift = shift
        self._scatters: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("class_scatters", self.classes)

    def update(self, block: Block) -> None:
        if self._scatters is None:
            dim = len(self.shift)
            self._scatters = self.shift.new_zeros(self.classes, dim, dim)
        for classes, rows in _by_class(block.features.double() - self.shift, block.labels):
            self._scatters[classes] += rows.transpose(1, 2) @ rows

    def merge(self, other: Self) -> None:
        if other._scatters is not None:
            self._scatters = other._scatters if self._scatters is None else self._scatters + other._scatters

    def finalize(self) -> Tensor:
        if self._scatters is None:
            raise ValueError("no rows were seen")
        return self._scatters


def _by_class(rows: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some classes at a time, (k,), with their rows, (k, n, D), filled up with zeros."""
    known = labels >= 0
    rows, labels = rows[known], labels[known]
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels)
    starts = counts.cumsum(0) - counts
    present = counts.nonzero()[:, 0]
    widest = int(counts.max()) if len(counts) else 0
    place = torch.arange(widest, device=rows.device)
    dim = rows.shape[1]
    for some in _slices(len(present), dim * max(widest, dim)):
        classes = present[some]
        inside = place < counts[classes][:, None]
        index = order[torch.where(inside, starts[classes][:, None] + place, 0)]
        yield classes, rows[index] * inside[:, :, None]


def _slices(count: int, floats: int) -> Iterator[slice]:
    """Yield slices of a number of things of so many floats each that fit into the scratch space together."""
    together = max(1, _WORK // max(floats, 1))
    return (slice(start, start + together) for start in range(0, count, together))


@SCORES.register("qda")
@dataclass
class ClassGaussianDensity(Score):
    """``log sum_k pi_k N(x; mu_k, Sigma_k)``, the log density of a mixture of one Gaussian a class.

    pi_k, mu_k and Sigma_k are share, mean and covariance of the ID train rows with true label k; Sigma_k (divided by
    n_k - 1) is drawn towards a multiple of the identity, Sigma_k := (1 - a) Sigma_k + a t I, with t the mean variance
    of a feature within its class. Classes without rows are left out.

    Parameters
    ----------
    shrinkage : float, default=0.01
        a, in [0, 1]. 0 leaves the covariances as they are, which must be regular then: n_k > D at least.

    Attributes
    ----------
    parts_ : list
        The Gaussians of the K classes that have rows, some classes at a time.
    log_shares_ : (K,) float64
        log pi_k.

    Notes
    -----
    One more pass over ID train, for the covariances. The score is refused where C·D² exceeds 64 million numbers.

    References
    ----------
    Mukhoti et al., Deep Deterministic Uncertainty: A Simple Baseline, CVPR 2023, arXiv 2102.11582. Reference code:
    omegafragger/DDU, utils/gmm_utils.py. Differences: there the smallest jitter that lets every covariance be factored
    is added to the diagonals, whatever the scale of the features; and the density leaves out the shares, which on
    balanced classes is a constant.
    """

    title = "QDA (DDU)"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Mukhoti et al., CVPR 2023, arXiv 2102.11582"
    year = 2023
    cost = "class covariances"

    shrinkage: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.shrinkage <= 1:
            raise UsageError(f"the shrinkage of a covariance lies in [0, 1], got {self.shrinkage:g}")

    def fit(self, train: Train) -> Fit:
        if train.label_classes * train.dim**2 > MOST_FLOATS:
            raise ScoreError(f"{train.label_classes} covariances of {train.dim} features take too much memory")
        classes: GroupSums = yield FeatureSumsByLabel(train.label_classes)
        shift = classes.sums.sum(dim=0) / classes.counts.sum()
        scatters: Tensor = yield ClassScatters(train.label_classes, shift)
        present = (classes.counts > 0).nonzero()[:, 0]
        counts, means = classes.counts[present], classes.means[present]
        between = ((means - shift).square().sum(dim=1) * counts).sum()
        level = float((scatters.diagonal(dim1=1, dim2=2).sum() - between) / (counts.sum() * train.dim))
        self.parts_ = [
            _factor(self._covariance(scatters[present[some]], counts[some], means[some] - shift, level), means[some])
            for some in _slices(len(present), train.dim**2)
        ]
        self.log_shares_ = (counts / counts.sum()).log()
        self.note_ = empty_classes(train, len(present))

    def _covariance(self, scatter: Tensor, counts: Tensor, offsets: Tensor, level: float) -> Tensor:
        covariance = scatter - counts[:, None, None] * offsets[:, :, None] * offsets[:, None, :]
        covariance *= ((1 - self.shrinkage) / (counts - 1).clamp_min(1))[:, None, None]
        covariance.diagonal(dim1=1, dim2=2).add_(self.shrinkage * level)
        return covariance

    def score(self, block: Block) -> Tensor:
        densities = [density for part in self.parts_ for density in part.log_densities(block.features)]
        return (torch.cat(densities) + self.log_shares_[:, None]).logsumexp(dim=0)


@dataclass(frozen=True, eq=False)
class _Gaussians:
    """Some classes' Gaussians: means (k, D), inverse Cholesky factors (k, D, D), log densities at the means (k, 1)."""

    means: Tensor
    inverses: Tensor
    peaks: Tensor

    def log_densities(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the log densities of rows (B, D), float64, a few classes at a time, (., B)."""
        rows = features.to(self.means.dtype)
        for some in _slices(len(self.means), rows.numel()):
            z = (rows - self.means[some][:, None, :]) @ self.inverses[some].transpose(1, 2)
            yield self.peaks[some] - z.square().sum(dim=2).double() / 2


def _factor(covariances: Tensor, means: Tensor) -> _Gaussians:
    factors, failed = torch.linalg.cholesky_ex(covariances)
    diagonal = factors.diagonal(dim1=1, dim2=2)
    if bool(failed.any()) or not bool((diagonal > 0).all()):
        raise ScoreError("the covariance of a class is singular; a larger shrinkage mends it")
    condition = float((diagonal.amax(dim=1) / diagonal.amin(dim=1)).square().max())
    dtype = torch.float32 if condition <= FLOAT32_CONDITION else torch.float64
    dim = means.shape[1]
    identity = torch.eye(dim, dtype=torch.float64, device=means.device)
    inverses = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
    peaks = -diagonal.log().sum(dim=1, keepdim=True) - dim * math.log(2 * math.pi) / 2
    return _Gaussians(means.to(dtype), inverses.to(dtype), peaks)
