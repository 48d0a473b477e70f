"""Random projection depth: how far a row lies from the middle of ID train in the direction where it lies farthest."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.gaussian import Whitener, whitener
from moodbench.scores.statistics import Moment, SecondMoment, Statistic

BINS = 4096
"""Steps of the grid that ID train is counted on along each direction."""

REACH = 3.0
"""The grid reaches so many standard deviations to both sides of the mean. A median lies within one of it, and the
median distance from that is at most two: what lies outside is only counted, at one more point on either side."""

WIDTH = 2 * REACH / BINS
"""Distance of the points of the grid in standard deviations."""

STEPS = 50
"""Halvings of the interval that holds the median distance."""


class DirectionCounts(Statistic[Tensor]):
    """How many ID train rows lie where along each of U directions, (U, BINS + 3) float64.

    Every row is shared out to the two points of the grid that it lies between. So the counts are a smooth function of
    the rows, and rounding that moves a row over a point changes next to nothing.

    Parameters
    ----------
    name : hashable
        What the directions are.
    along : callable
        Block → (B, U) float32, positions along the directions, of mean 0 and variance 1 over ID train.
    """

    def __init__(self, name: Hashable, along: Callable[[Block], Tensor]) -> None:
        self.name = name
        self.along = along
        self._counts: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("direction_counts", self.name)

    def update(self, block: Block) -> None:
        place = ((self.along(block).T.double() + REACH) / WIDTH + 1).clamp_(0, BINS + 2)
        left = place.floor().clamp_max_(BINS + 1)
        right_share = place - left
        points = left.long()
        if self._counts is None:
            self._counts = place.new_zeros(len(place), BINS + 3)
        self._counts.scatter_add_(1, points, 1 - right_share)
        self._counts.scatter_add_(1, points + 1, right_share)

    def merge(self, other: Self) -> None:
        if other._counts is not None:
            self._counts = other._counts if self._counts is None else self._counts + other._counts

    def finalize(self) -> Tensor:
        if self._counts is None:
            raise ValueError("no rows were seen")
        return self._counts


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

    Notes
    -----
    The depth with all directions does not change with the coordinates. With some of them it does: drawn evenly in
    coordinates in which ID train has unit covariance, they meet directions in which ID train varies little, which even
    directions in feature space all but miss. ID train is one cloud to this score: rows between its classes lie deep.

    Medians come from counts on a grid of 4096 steps along each direction, 0.0015 standard deviations wide, with
    interpolation.
    Directions in which half of ID train coincides (MAD = 0) are left out.

    References
    ----------
    Zuo and Serfling, General notions of statistical depth function, Annals of Statistics 28 (2000); with random
    directions as in Bauw et al., Deep Random Projection Outlyingness for Unsupervised Anomaly Detection,
    arXiv 2106.15307 (2021). Difference: whitened coordinates.
    """

    title = "Random projection depth"
    family = "feature"
    paper = "Bauw et al., 2021, arXiv 2106.15307"
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
        units = self._units(white)
        single = units.float()
        counts: Tensor = yield DirectionCounts((self.directions, self.seed), lambda block: white.rows(block) @ single)
        median, deviation = median_and_deviation(counts)
        weight = torch.where(deviation > WIDTH, 1 / deviation.clamp_min(WIDTH), 0.0)
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
        positions = torch.addmm(-self.medians_, self.whitener_.rows(block), self.directions_)
        return 1 / (1 + positions.abs_().amax(dim=1))


def median_and_deviation(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return median, and median distance from it, of each direction, (U,) float64, in standard deviations.

    Counts at a point of the grid are spread evenly over the cell around it.
    """
    edges = torch.nn.functional.pad(counts.cumsum(dim=1), (1, 0))  # edges[:, i]: rows below the i-th edge of cells
    cells = counts.shape[1]
    half = edges[:, -1] / 2
    cell = ((edges[:, :-1] < half[:, None]).sum(dim=1) - 1).clamp_min_(0)
    inside = (half - _at(edges, cell)) / _at(counts, cell)
    median = cell + torch.where(_at(counts, cell) > 0, inside, 0.5)

    def rows_below(position: Tensor) -> Tensor:
        position = position.clamp(0, cells)
        left = position.floor().long().clamp_max(cells - 1)
        return _at(edges, left) + (position - left) * _at(counts, left)

    low, high = torch.zeros_like(median), torch.full_like(median, float(cells))
    for _ in range(STEPS):
        middle = (low + high) / 2
        enough = rows_below(median + middle) - rows_below(median - middle) >= half
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return (median - 1.5) * WIDTH - REACH, high * WIDTH


def _at(values: Tensor, column: Tensor) -> Tensor:
    return values.gather(1, column[:, None])[:, 0]
