"""Nearest neighbours over layers: the mean of the layers' cosines with each ID train row."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.knn import nearest_cosines
from moodbench.scores.machinery.layered import of_side_by_side, side_by_side, train_side_by_side
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.viewing import OverLayers
from moodbench.sizes import many


@SCORES.register("knn_layers")
@dataclass
class KNNLayers(OverLayers):
    """``c_(k)``, the k-th largest over ID train rows i of ``c_i = mean over layers l of cos(x_l, x_il)``.

    The same as `knn` on one long vector: the layers' features, each divided by its length, one behind another. A row is
    near only where one and the same ID train row is near in all layers.

    Parameters
    ----------
    layers : str, default="all"
        Which of the cached layers: ``all``, ``every:3``, or names joined by ``+`` (``blocks.3+blocks.7``).
    k : int, default=50
        Which neighbour, as for `knn`.

    Attributes
    ----------
    views_ : tuple of str
        The caches of the layers.
    bank_ : NearestCosines
        The ID train rows.

    Notes
    -----
    The paper reads the last layer; that layers are put together with equal weight is this toolkit's. A row costs one
    product with every ID train row, as wide as all layers together: 12 blocks of a ViT-B, 9,216 numbers.

    References
    ----------
    Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022, arXiv 2204.06507.
    """

    title = "KNN (layers)"
    family = "feature"
    paper = "Sun et al., ICML 2022, arXiv 2204.06507"
    year = 2022
    cost = "memory bank"
    sweep = {"k": (10, 50, 100, 200, 500, 1000)}

    k: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise UsageError(f"the number of neighbours must be at least 1, got {self.k}")

    def fit(self, train: Train) -> Fit:
        self.views_ = self.views_among(list(train.views))
        mean: Tensor = yield of_side_by_side(self.views_, UnitMean())
        self.bank_ = nearest_cosines(train_side_by_side(train, self.views_), mean, self.k)
        if train.rows < self.k:
            self.note_ = f"ID train has {many(train.rows, 'row')} only: the farthest of them is taken"

    def score(self, block: Block) -> Tensor:
        cosines = self.bank_.of(side_by_side(block, self.views_))
        return cosines[:, min(self.k, cosines.shape[1]) - 1]
