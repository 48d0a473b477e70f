"""COMBOOD: the distance to a near ID train row and a Mahalanobis distance, as the logarithms of two densities."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.knn import nearest_cosines
from moodbench.scores.machinery.gaussian import rounding_variance
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import Moment, SecondMoment, UnitMean
from moodbench.scores.machinery.unit import exact_unit_features, unit_rows
from moodbench.scores.machinery.yeo_johnson import YeoJohnson, fit_yeo_johnson
from moodbench.sizes import many

LEAST = 1e-12
"""Squared distances of unit rows count as at least this: the logarithm of zero would hide all else."""


@SCORES.register("combood")
@dataclass
class COMBOOD(Score):
    """``-sqrt(D) log ||z - z_(k)||² - t^T (S + I)^-1 t`` with z = x / ||x|| and t the z made to look normal.

    z_(k) is the k-th nearest ID train row: the first term is the logarithm of a nearest-neighbour density, but with
    sqrt(D) for D. t are the z with each column standardised, transformed by the power of Yeo and Johnson that makes ID
    train look most normal, and standardised again; S is their covariance (divided by N - 1), and I the authors'
    regularisation.

    Parameters
    ----------
    k : int, default=50
        Which neighbour, as in the authors' program. With fewer rows than k, the farthest of them is taken.
    rows : int, default=5000
        The powers are found on a random sample of so many ID train rows; all else is of all rows.
    seed : int, default=0
        Of the sample.

    Attributes
    ----------
    bank_ : NearestCosines
        The ID train rows.
    normal_ : Normalised
        z → t.
    whiten_ : (D, D) float64
        The triangular factor L of (S + I)^-1 = L L^T.

    Notes
    -----
    The authors' program has four combinations of features: for either term the penultimate features, or the largest and
    least values of every layer's map, which no cache holds. This is the one with penultimate features in both; as it
    stands, the program runs the one with extreme values in the Mahalanobis term. Columns that do not vary are left out.

    References
    ----------
    Rajasekaran et al., COMBOOD: A Semiparametric Approach for Detecting Out-of-distribution Data for Image
    Classification, SDM 2024, arXiv 2602.07042. Reference code: rmagesh148/combood, confidenciator.py and, for the sum,
    square_log_probability in test_ood.py.
    """

    title = "COMBOOD"
    family = "feature"
    paper = "Rajasekaran et al., SDM 2024, arXiv 2602.07042"
    year = 2024
    cost = "memory bank"
    sweep = {"k": (10, 50, 100, 200, 500, 1000)}

    k: int = 50
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k < 1 or self.rows < 2:
            raise UsageError(f"'combood' needs k >= 1 and rows >= 2, got k={self.k} and rows={self.rows}")

    def fit(self, train: Train) -> Fit:
        moment: Moment
        sample: Rows
        mean: Tensor
        moment, sample, mean = yield SecondMoment(unit=True), Sample(self.rows, seed=self.seed), UnitMean()
        self.bank_ = nearest_cosines(train, mean, self.k)
        first = _standardiser(moment)
        power = fit_yeo_johnson(first(unit_rows(sample.features.double())))
        transformed: Moment = yield _Transformed(first, power, (self.rows, self.seed))
        self.normal_ = Normalised(first, power, _standardiser(transformed))
        scale = self.normal_.last.factor
        covariance = transformed.covariance_about(transformed.mean) * torch.outer(scale, scale)
        covariance *= train.rows / max(train.rows - 1, 1)
        identity = torch.eye(train.dim, dtype=torch.float64, device=covariance.device)
        self.whiten_ = torch.linalg.cholesky(torch.linalg.inv(covariance + identity))
        if train.rows < self.k:
            self.note_ = f"ID train has {many(train.rows, 'row')} only: the farthest of them is taken"

    def score(self, block: Block) -> Tensor:
        cosines = self.bank_.of(block)
        squares = 2 * (1 - cosines[:, min(self.k, cosines.shape[1]) - 1]).clamp_min(LEAST / 2)
        distances: Tensor = (self.normal_(exact_unit_features(block)) @ self.whiten_).square().sum(dim=1)
        return -math.sqrt(block.features.shape[1]) * squares.log() - distances


@dataclass(frozen=True, eq=False)
class Standardiser:
    """x → (x - mean) · factor, one over the standard deviation; 0 for columns that do not vary. (D,) float64 both."""

    mean: Tensor
    factor: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Return rows (n, D) float64 standardised."""
        return (rows - self.mean).mul_(self.factor)


def _standardiser(moment: Moment) -> Standardiser:
    variance = moment.covariance_about(moment.mean).diagonal()
    varies = variance > rounding_variance(moment.mean)
    return Standardiser(moment.mean, torch.where(varies, variance.clamp_min(0).rsqrt(), 0.0))


@dataclass(frozen=True, eq=False)
class Normalised:
    """Standardised, transformed, and standardised again."""

    first: Standardiser
    power: YeoJohnson
    last: Standardiser

    def __call__(self, rows: Tensor) -> Tensor:
        """Return t of unit rows z, (n, D) float64 both."""
        return self.last(self.power(self.first(rows)))


class _Transformed(SecondMoment):
    """The second moment of the transformed unit rows."""

    def __init__(self, first: Standardiser, power: YeoJohnson, made_of: Hashable) -> None:
        super().__init__()
        self.first, self.power, self.made_of = first, power, made_of

    @property
    def key(self) -> Hashable:
        return ("yeo_johnson_moment", self.made_of)

    def update(self, block: Block) -> None:
        super().update(Block(self.power(self.first(exact_unit_features(block)))))
