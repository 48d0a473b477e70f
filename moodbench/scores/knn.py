"""Nearest neighbours: a row against every ID train row, by its k-th, its largest and its projected cosine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import Bank, bank_of
from moodbench.scores.machinery.similar import MostSimilar
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.sizes import many


class NearestCosines:
    """The largest cosines of a row with the ID train rows.

    Scores say with `ask` how many they want before anything is scored; a block meets the bank once, for the most that
    was asked for.
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._wanted = 1
        self._place = bank.join(lambda block: MostSimilar(self._wanted, bank, block))

    def ask(self, k: int) -> None:
        """Announce that a score will want the `k` largest."""
        self._wanted = max(self._wanted, k)

    def of(self, block: Block) -> Tensor:
        """Return the largest cosines, descending, (B, k) float64; k is at least what was asked for, rows permitting."""
        return self._bank.of(self._place, block)


def nearest_cosines(train: Train, mean: Tensor, k: int) -> NearestCosines:
    """Return what all scores of this fit share to look rows up in the bank, and announce `k`.

    `mean` is that of the unit rows of ID train.
    """
    cosines = train.shared("nearest_cosines", lambda: NearestCosines(bank_of(train, mean)))
    cosines.ask(k)
    return cosines


@SCORES.register("knn")
@dataclass
class KNN(Score):
    """``cos(x, x_(k))``, the k-th largest cosine of a row with the ID train rows.

    It orders rows as -||z - z_(k)|| does, the distance to the k-th nearest of the unit rows z = x / ||x||, since the
    squared distance is 2 - 2 cos; the cosine needs no square root and does not cancel where rows are close.

    Parameters
    ----------
    k : int, default=50
        Which neighbour. 50 is the paper's choice for CIFAR-10 and OpenOOD's for everything; the paper takes 200 for
        CIFAR-100 and 1000 for ImageNet, so for large ID train sets larger values are worth trying. A bank that is
        thinned out wants a k that is thinned out as well. With fewer rows than k, the farthest of them is taken.

    Attributes
    ----------
    bank_ : NearestCosines
        The ID train rows.

    Notes
    -----
    The bank is all of ID train, walked over in blocks: exact, and nothing is kept in memory.

    References
    ----------
    Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022, arXiv 2204.06507. Reference code:
    deeplearning-wisc/knn-ood, run_imagenet.py and run_cifar.py, which score with the negative squared distance.
    """

    title = "KNN"
    family = "feature"
    paper = "Sun et al., ICML 2022, arXiv 2204.06507"
    year = 2022
    cost = "memory bank"
    sweep = {"k": (10, 50, 100, 200, 500, 1000)}

    k: int = 50

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"the number of neighbours must be at least 1, got {self.k}")

    def fit(self, train: Train) -> Fit:
        mean: Tensor = yield UnitMean()
        self.bank_ = nearest_cosines(train, mean, self.k)
        if train.rows < self.k:
            self.note_ = f"ID train has {many(train.rows, 'row')} only: the farthest of them is taken"

    def score(self, block: Block) -> Tensor:
        cosines = self.bank_.of(block)
        return cosines[:, min(self.k, cosines.shape[1]) - 1]


@SCORES.register("cos_max")
@dataclass
class CosMax(Score):
    """``max_i cos(x, x_i)``, the largest cosine with an ID train row: `knn` with k = 1.

    Attributes
    ----------
    bank_ : NearestCosines
        The ID train rows.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615. Its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is; this is the formula
    that it intends: there the maximum is taken over the test rows, and the orientation is reversed.
    """

    title = "Cosine (MOODv1)"
    family = "feature"
    paper = "Li et al., CVPR 2023, arXiv 2302.02615"
    year = 2023
    cost = "memory bank"

    def fit(self, train: Train) -> Fit:
        mean: Tensor = yield UnitMean()
        self.bank_ = nearest_cosines(train, mean, 1)

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(block)[:, 0]


@SCORES.register("projection")
@dataclass
class Projection(CosMax):
    """``||x|| · max_i cos(x, x_i)``, the longest projection of a row on the direction of an ID train row.

    Attributes
    ----------
    bank_ : NearestCosines
        The ID train rows.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615. Its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is; this is the formula
    that it intends: there the factor is the norm of the whole test matrix, a constant.
    """

    title = "Projection (MOODv1)"

    def score(self, block: Block) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(block.features, dim=1)
        return length * super().score(block)
