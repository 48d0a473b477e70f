"""ActSub: the part of a row that the head reads, shaped, and how the rest points compared with ID train."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import Bank
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.shaping import check_percentile, gain, head_energy, kept_count, sum_ratio
from moodbench.scores.machinery.similar import MostSimilar
from moodbench.scores.machinery.statistics import Statistic, UnitMean

NEAREST = 2.0**-24
"""1 - cosine is at least this, which is what float32 tells from 0: the logarithm stays finite for rows of ID train."""

NO_WEIGHT = 1e-6
"""Singular values below this share of the largest are none."""


@SCORES.register("actsub")
@dataclass
class ActSub(Score):
    """``log sum_k exp((a W x_d + b)_k) · (-log(1 - mean of the K largest cos(x_i, y_i)))^lam``, y all ID train rows.

    x_d is the projection of x on the first right singular vectors of W, as many as make it as long as the rest
    x_i = x - x_d on average over ID train. a = exp(s1 / s2) is that of `scale`, for the entries of x_d.

    Parameters
    ----------
    percentile : float, default=95
        Of `scale`. The authors take 95 for a ResNet-50 and 97.5 for a ViT-B/16 on ImageNet.
    lam : float, default=2
        lambda. The authors take 2 for a ResNet-50 and 1 for a ViT-B/16.
    k : int, default=10
        K. With fewer ID train rows, all of them.
    decisive : int, default=0
        How many singular vectors; 0 to choose them as above.

    Attributes
    ----------
    basis_ : (D, n) float32
        The singular vectors.
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    bank_ : Bank
        The rests of the ID train rows.

    Notes
    -----
    Singular vectors beyond the rank of W have no order, so there are no more than its rank (the authors' program takes
    what the decomposition happens to give); heads of few classes often reach it, and the results say so. Negative mean
    cosines count as 0, of which the program makes NaN or a number of the other sign. The product means something for
    positive energies only. The rests are compared in a walk over ID train of their own.

    References
    ----------
    Zöngür, Hesse and Roth, Activation Subspaces for Out-of-Distribution Detection, ICCV 2025, arXiv 2508.21695.
    Reference code: visinf/actsub, actsub_standard/methods.py, whose bank is a random tenth of ImageNet's training rows.
    """

    title = "ActSub"
    family = "feature+logit"
    needs = frozenset({"head"})
    paper = "Zöngür et al., ICCV 2025, arXiv 2508.21695"
    year = 2025
    cost = "memory bank"

    percentile: float = 95.0
    lam: float = 2.0
    k: int = 10
    decisive: int = 0

    def __post_init__(self) -> None:
        check_percentile("actsub", self.percentile)
        if self.lam < 0 or self.k < 1 or self.decisive < 0:
            raise UsageError(
                f"'actsub' needs lam >= 0, k >= 1 and decisive >= 0, got {self.lam:g}, {self.k} and {self.decisive}"
            )

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        self.weight_, self.bias_ = train.weight, train.bias
        vectors = train.shared("head_vectors", lambda: head_vectors(train.weight))
        most = min(vectors.shape[1], train.dim - 1)
        if not most:
            raise ScoreError("no direction of the features is one that the head reads, or all are")
        count = min(self.decisive, most)
        if not self.decisive:
            inside, outside = yield PartLengths(vectors[:, :most])
            count = 1 + int((inside - outside).abs().argmin())
            if count == most < train.dim - 1 and inside[-1] < outside[-1]:
                self.note_ = f"all {most} directions of the head are decisive, and rows longer across than along them"
        self.basis_ = vectors[:, :count].float()
        mean: Tensor = yield RestMean(self.basis_)
        self.bank_ = train.shared(("bank_of_rests", count), lambda: bank_of_rests(train, self.basis_, mean))
        self._place = self.bank_.join(lambda block: MostSimilar(self.k, self.bank_, block))

    def score(self, block: Block) -> Tensor:
        rest = rest_of(block, self.basis_)
        decisive = Block(block.features - rest.features)
        ratio = sum_ratio(decisive, kept_count(block.features.shape[1], self.percentile), relu=False)
        energy = head_energy(decisive.features * gain(ratio)[:, None], self.weight_, self.bias_).double()
        cosine = self.bank_.of(self._place, rest).mean(dim=1)
        likeness = (1 - cosine.double()).clamp_min(NEAREST).log().neg().clamp_min(0)
        score: Tensor = energy * likeness.pow(self.lam)
        return score


def bank_of_rests(train: Train, basis: Tensor, mean: Tensor) -> Bank:
    """Return a bank of what remains of the ID train rows; `mean` is that of its unit rows, (D,) float64."""
    rests = replace(train, bank=lambda: (rest_of(stored, basis) for stored in train.bank()), _memo={})
    bank = Bank(rests)
    bank.directions = Directions(mean)
    return bank


def head_vectors(weight: Tensor | None) -> Tensor:
    """Return the right singular vectors of a head, by falling singular value, (D, rank) float64."""
    assert weight is not None
    _, values, rows = torch.linalg.svd(weight.double(), full_matrices=False)
    kept: Tensor = rows[values > NO_WEIGHT * values[0]]
    return kept.T.contiguous()


def rest_of(block: Block, basis: Tensor) -> Block:
    """Return the rows less their projections on the columns of a basis (D, n), as a block, made once."""

    def compute() -> Block:
        features = block.features
        return Block(features - product(product(features, basis), basis.T), start=block.start)

    return block.shared(("rest", basis.shape[1]), compute)


class PartLengths(Statistic[tuple[Tensor, Tensor]]):
    """The mean length of the projection on the first 1, 2, …, n columns of a basis, and of the rest, (n,) float64 each.

    Parameters
    ----------
    basis : (D, n) float64
        Of the head, so that statistics with the same n are the same.
    """

    def __init__(self, basis: Tensor) -> None:
        self.basis = basis
        self._count = 0
        self._sums: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("part_lengths", self.basis.shape[1])

    def update(self, block: Block) -> None:
        x = block.features.double()
        inside = (x @ self.basis).square_().cumsum(dim=1)
        outside = (x.square_().sum(dim=1, keepdim=True) - inside).clamp_min_(0)
        self._add(len(block), torch.stack([part.sqrt_().sum(dim=0) for part in (inside, outside)]))

    def _add(self, count: int, sums: Tensor) -> None:
        self._count += count
        self._sums = sums if self._sums is None else self._sums + sums

    def merge(self, other: Self) -> None:
        if other._sums is not None:
            self._add(other._count, other._sums)

    def finalize(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            raise ValueError("no rows were seen")
        return self._sums[0] / self._count, self._sums[1] / self._count


class RestMean(UnitMean):
    """The mean of the unit vectors along what remains of rows without their projections on a basis, (D,) float64."""

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        self.basis = basis
        self.key = ("rest_mean", basis.shape[1])

    def rows(self, block: Block) -> Tensor:
        return super().rows(rest_of(block, self.basis))
