"""Plain distances of unit features to their mean over ID train: MOODv1's simplest scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.statistics import UnitMean


class _ToMean(Score):
    """The negative distance of z = x / ||x|| to the mean of ID train, in one of the norms."""

    family = "feature"
    paper = "Li et al., CVPR 2023, arXiv 2302.02615"
    year = 2023

    order: ClassVar[float]

    def fit(self, train: Train) -> Fit:
        mean: Tensor = yield UnitMean()
        self.directions_ = Directions(mean)

    def score(self, block: Block) -> Tensor:
        way = self.directions_.ways(block)
        if self.order == math.inf:  # as a norm it is twenty times slower
            return -way.abs().amax(dim=1)
        distance: Tensor = torch.linalg.vector_norm(way, ord=self.order, dim=1)
        return -distance


@SCORES.register("euclid")
@dataclass
class Euclid(_ToMean):
    """``-||z - m||_2`` with z = x / ||x|| and m the mean of z over ID train.

    Attributes
    ----------
    directions_ : Directions
        m.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615. Its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is; this is the formula
    that it intends. A row of zeros stays zero.
    """

    title = "Euclidean (MOODv1)"
    order = 2


@SCORES.register("mean_l1")
@dataclass
class MeanL1(_ToMean):
    """``-||z - m||_1`` with z = x / ||x|| and m the mean of z over ID train.

    MOODv1 calls it minkowski.

    Attributes
    ----------
    directions_ : Directions
        m.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615. Its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is; this is the formula
    that it intends. A row of zeros stays zero.
    """

    title = "L1 to mean (MOODv1)"
    order = 1


@SCORES.register("linf")
@dataclass
class Linf(_ToMean):
    """``-max_d |z_d - m_d|`` with z = x / ||x|| and m the mean of z over ID train (Chebyshev).

    Attributes
    ----------
    directions_ : Directions
        m.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615. Its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is; this is the formula
    that it intends. A row of zeros stays zero.
    """

    title = "Chebyshev (MOODv1)"
    order = float("inf")
