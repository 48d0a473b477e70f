"""Random projection depth: how far a row lies from the middle of ID train in the direction where it lies farthest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import Whitener, whitener
from moodbench.scores.machinery.medians import RESOLUTION, median_and_deviation
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import Moment, SecondMoment

LEAST = 3 * RESOLUTION
"""Median distances below this are what float32 makes of none."""


@SCORES.register("rpd")
@dataclass
class RandomProjectionDepth(Score):
    """``1 / (1 + max_u |u·x - med(u·X)| / MAD(u·X))`` over random directions u.

    med and MAD are the median of ID train along u and the median distance from it.

    Parameters
    ----------
    directions : int, default=1000
        How many directions, drawn evenly from the sphere in whitened coordinates (symmetric root of the covariance).
    seed : int, default=0
        Of the directions.

    Attributes
    ----------
    whitener_ : Whitener
        Of ID train.
    directions_ : (r, U) float32
        u / MAD in whitened coordinates; zero for directions that are left out.
    medians_ : (U,) float32
        med / MAD.

    Notes
    -----
    The depth with all directions does not change with the coordinates. With some of them it does: drawn evenly in
    coordinates in which ID train has unit covariance, they meet directions in which ID train varies little, which even
    directions in feature space all but miss. ID train is one cloud to this score: rows between its classes lie deep.

    Medians are exact to 3e-6 standard deviations along their direction (`machinery.medians`), which takes three
    passes over ID train. Directions in which half of ID train coincides (MAD = 0) are left out.

    References
    ----------
    Zuo and Serfling, General notions of statistical depth function, Annals of Statistics 28 (2000); with random
    directions as in Bauw et al., Deep Random Projection Outlyingness for Unsupervised Anomaly Detection,
    arXiv 2106.15307 (2021). Difference: whitened coordinates.
    """

    title = "Random projection depth"
    family = "feature"
    paper = "Bauw et al., 2021, arXiv 2106.15307"
    year = 2021
    cost = "many directions"

    directions: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise UsageError(f"there must be at least 1 direction, got {self.directions}")

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment()
        mean = moment.mean
        self.whitener_ = white = whitener(train, "total", mean, lambda: moment.covariance_about(mean))
        self.note_ = white.note
        units = self._units(white)
        single = units.float()
        name = ("projections", self.directions, self.seed)
        median, deviation = yield from median_and_deviation(
            name,
            lambda block: block.shared(name, lambda: white.rows(block) @ single),
            self.directions,
            train.device,
        )
        weight = torch.where(deviation > LEAST, 1 / deviation.clamp_min(LEAST), 0.0)
        self.directions_ = (units * weight).float()
        self.medians_ = (median * weight).float()

    def _units(self, white: Whitener) -> Tensor:
        """Return the directions in the whitener's coordinates, (r, U) float64.

        Eigenvectors have any sign, and any order where eigenvalues are equal. So directions are drawn in the
        coordinates of the features, in which the symmetric root of the covariance whitens: the same on every machine.
        """
        basis = white.basis
        axes = basis / torch.linalg.vector_norm(basis, dim=0)
        generator = torch.Generator().manual_seed(self.seed)
        normal = torch.randn(self.directions, len(basis), generator=generator, dtype=torch.float64).to(basis.device)
        inside = axes.T @ normal.T
        units: Tensor = inside / torch.linalg.vector_norm(inside, dim=0)
        return units

    def score(self, block: Block) -> Tensor:
        positions = product(self.whitener_.rows(block), self.directions_, -self.medians_)
        return 1 / (1 + positions.abs_().amax(dim=1))
