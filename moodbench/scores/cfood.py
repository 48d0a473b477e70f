"""CF-OOD: how far out a row would have to be looked for from some of the ID train rows, as a rank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.coarse import ROUNDING
from moodbench.scores.machinery.directions import Directions, Fan
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.vectorised import larger, row_counts, sorted_rows

TOGETHER = 512
"""Rows that are compared with the sample at once."""

ALIKE = 4 * ROUNDING
"""Part of the largest squared length by which squared distances may differ that count as equal: a row that is in the
sample lies exactly at its neighbours' own distances, and rounding must not decide on which side."""


@SCORES.register("cfood")
@dataclass
class CFOOD(Score):
    """``-f``, the least share f so that x is among the nearest f of at least a share k of the ID train rows.

    x is among the nearest f of the row r if it is no farther from r than the (f n)-th nearest of the n ID train rows;
    distances are those of unit rows. Of an inlier many rows are close already at a small f, of an outlier few are at a
    large one. It is the concentration-free outlier factor of Angiulli, which does not lose contrast in high dimensions.

    Parameters
    ----------
    k : float, default=0.01
        The share of the rows. OpenOOD also tries 0.001, 0.005 and 0.05.
    rows : int, default=5000
        n: rows are compared with a random sample of so many ID train rows. The authors take a tenth of CIFAR's 50,000.
    seed : int, default=0
        Of the sample.

    Attributes
    ----------
    directions_ : Directions
        The mean of all unit rows.
    sample_ : Fan
        The n rows.
    reach_ : (F, n) float32
        The squared distance within which the nearest share f of each of them lies.
    shares_ : (F + 1,) float32
        Those shares, and 1 behind them.

    Notes
    -----
    f goes in the steps of the authors' program: 0.001 to 0.1, 0.005 to 0.5, 0.01 to 0.99, and 1 where no share is
    large enough; so there are 231 different scores at most, and many ties. The fit compares the sample with itself,
    n² D multiplications.

    References
    ----------
    Angiulli et al., CF-OOD: Concentration-Free Density Estimation for Reliable Out-of-Distribution Detection,
    SISAP 2025. Reference code, by the authors: Jingkang50/OpenOOD, openood/postprocessors/cfood_postprocessor.py.
    """

    title = "CF-OOD"
    family = "feature"
    paper = "Angiulli et al., SISAP 2025"
    year = 2025
    cost = "sample"
    sweep = {"k": (0.001, 0.005, 0.01, 0.05)}

    k: float = 0.01
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.k <= 1:
            raise UsageError(f"the k of 'cfood' is a share of the rows in (0, 1], got {self.k:g}")
        if self.rows < 2:
            raise UsageError(f"'cfood' needs rows >= 2, got {self.rows}")

    def fit(self, train: Train) -> Fit:
        sample: Rows
        mean: Tensor
        sample, mean = yield Sample(self.rows, seed=self.seed), UnitMean()
        self.directions_ = Directions(mean)
        self.sample_ = self.directions_.fan(sample.features.double())
        shares, places = _grid(len(self.sample_))
        self.shares_ = torch.tensor([*shares, 1.0], dtype=torch.float32, device=train.device)
        self.reach_ = _reach(self.sample_, places)

    def score(self, block: Block) -> Tensor:
        needed = max(1, math.ceil(self.k * len(self.sample_) - 1e-9))
        fan = self.directions_.of(block)
        found = []
        for start in range(0, len(block), TOGETHER):
            squares = _squares(_part(fan, slice(start, start + TOGETHER)), self.sample_)
            found.append(_first_share(self.reach_, squares, needed))
        return -self.shares_[torch.cat(found)]


def _first_share(reach: Tensor, squares: Tensor, needed: int) -> Tensor:
    """Return the first of the F shares at which `needed` of the n rows reach as far as these, (B,) int64; F if none is.

    `reach` (F, n) rises along F, so a bisection finds it for all `squares` (B, n) at once.
    """
    low = torch.zeros(len(squares), dtype=torch.int64, device=squares.device)
    high = torch.full_like(low, len(reach))
    for _ in range(len(reach).bit_length()):
        middle = ((low + high) // 2).clamp_max_(len(reach) - 1)
        beyond = row_counts(larger(squares, reach.index_select(0, middle)))
        enough = beyond <= reach.shape[1] - needed
        low, high = torch.where(enough, low, torch.minimum(middle + 1, high)), torch.where(enough, middle, high)
    return high


def _grid(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the shares of the program that n rows tell apart, and the place of the neighbour that each stands for.

    Places count from 0, the row itself.
    """
    shares = np.concatenate([np.linspace(0.001, 0.1, 100), np.linspace(0.105, 0.5, 81), np.linspace(0.51, 0.99, 49)])
    places = (shares * rows - 1).astype(np.int64)
    kept = np.concatenate([[True], np.diff(places) > 0])
    return shares[kept], np.minimum(places[kept] + 1, rows - 1)


def _reach(sample: Fan, places: NDArray[np.int64]) -> Tensor:
    """Return the squared distances of each row's neighbours at some places, (F, n) float32, and a little more."""
    found = []
    for start in range(0, len(sample), TOGETHER):
        squares = _squares(_part(sample, slice(start, start + TOGETHER)), sample)
        found.append(sorted_rows(squares)[:, places])
    reach = torch.cat(found).T + ALIKE * 2 * sample.halves.max().float()
    return reach.contiguous()


def _part(fan: Fan, some: slice) -> Fan:
    return Fan(fan.ways[some], fan.halves[some])


def _squares(left: Fan, right: Fan) -> Tensor:
    """Return the squared distances of unit rows, (n, m) float32, twice 1 - cos."""
    halves = torch.addmm(right.halves.float(), left.ways, right.ways.T, alpha=-1)
    return halves.add_(left.halves.float()[:, None]).mul_(2)
