"""Nearest neighbours among a coreset of ID train: the memory of PatchCore, of whole images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.coreset import greedy_coreset, projected
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.unit import unit_rows

WIDTH = 128
"""Random directions that rows are compared along while the coreset is chosen, as in the authors' program."""


@SCORES.register("knn_coreset")
@dataclass
class KNNCoreset(Score):
    """``cos(x, c_(k))``, the k-th largest cosine of a row with the rows c of a coreset of ID train.

    The coreset is chosen greedily (k-centre): of the unit rows z = x / ||x||, always the one that is farthest from
    those chosen so far. So few rows stand for all of them, rare ones included; a random choice keeps the common ones.

    Parameters
    ----------
    coreset : float, default=0.1
        The share of the rows that is kept. The paper tries 0.25, 0.1 and 0.01.
    k : int, default=1
        Which neighbour within the coreset; the nearest as in the paper. With fewer rows than k, the farthest is taken.
    rows : int, default=10000
        The coreset is chosen from a random sample of so many ID train rows.
    seed : int, default=0
        Of the sample and of the random directions.

    Attributes
    ----------
    directions_ : Directions
        The mean of all z.
    coreset_ : Fan
        The rows that were kept.

    Notes
    -----
    For each row that is kept, the whole sample is compared with it along 128 random directions (narrower features as
    they are): `coreset` · `rows`² · 128 multiplications, 1.3e9 with the defaults, however large ID train is. Of all
    1,281,167 rows of ImageNet, 1 % would take 2.1e12, and 1.3 GB besides the features.

    Differences from PatchCore: one vector an image and not one a patch; unit features, so that it is `knn` with another
    memory; the score is not weighed by the neighbours of the nearest row. The program's approximate sampler, which it
    suggests for speed, starts from ten random rows; the exact one is what stands here.

    References
    ----------
    Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022, arXiv 2106.08265. Reference code:
    amazon-science/patchcore-inspection, src/patchcore/sampler.py.
    """

    title = "KNN, coreset"
    family = "feature"
    paper = "Roth et al., CVPR 2022, arXiv 2106.08265"
    year = 2022
    cost = "sample"
    sweep = {"coreset": (0.01, 0.1, 0.25), "k": (1, 5)}

    coreset: float = 0.1
    k: int = 1
    rows: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.coreset <= 1:
            raise UsageError(f"the coreset of 'knn_coreset' is a share of the rows in (0, 1], got {self.coreset:g}")
        if self.k < 1 or self.rows < 1:
            raise UsageError(f"'knn_coreset' needs k >= 1 and rows >= 1, got k={self.k} and rows={self.rows}")

    def fit(self, train: Train) -> Fit:
        sample: Rows
        mean: Tensor
        sample, mean = yield Sample(self.rows, seed=self.seed), UnitMean()
        self.directions_ = Directions(mean)
        features = sample.features.double()
        ways = unit_rows(features) - mean
        kept = greedy_coreset(projected(ways, WIDTH, self.seed), max(1, int(len(ways) * self.coreset)))
        self.coreset_ = self.directions_.fan(features[kept])

    def score(self, block: Block) -> Tensor:
        relative = self.directions_.relative(block, self.coreset_)
        k = min(self.k, len(self.coreset_))
        found = relative.amax(dim=1) if k == 1 else torch.topk(relative, k, dim=1).values[:, -1]
        return found.double() + self.directions_.own(block)
