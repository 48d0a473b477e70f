"""k-means: the distance to the nearest of some centres of ID train."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.lloyd import lloyd, plus_plus
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import UnitMean

FALLBACK = 100
"""Centres where neither labels nor logits say how many classes there are."""


@SCORES.register("kmeans")
@dataclass
class KMeansDistance(Score):
    """``-min_j ||z - c_j||`` with z = x / ||x|| and c_j the centres that k-means finds among the z of ID train.

    Parameters
    ----------
    clusters : int, default=0
        Number of centres. 0 takes the number of classes: of labels, else of logits, else 100. Never more than rows.
    rows : int, default=10000
        The centres are found on a random sample of so many ID train rows.
    seed : int, default=0
        Of the sample and of the start.

    Attributes
    ----------
    directions_ : Directions
        The mean of all z.
    centres_ : (clusters, D) float32
        c_j, less that mean.
    inertia_ : float
        The sum of squared distances on the sample.

    Notes
    -----
    Lloyd's algorithm from one k-means++ start, with the rules and random choices of scikit-learn's
    KMeans, about the mean of all z.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615. Its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is, and does not say how
    many centres there are; the number of classes is our choice.
    """

    title = "k-means (MOODv1)"
    family = "feature"
    paper = "Li et al., CVPR 2023, arXiv 2302.02615"
    year = 2023
    cost = "sample"

    clusters: int = 0
    rows: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clusters < 0 or self.rows < 1:
            raise UsageError("k-means needs clusters >= 0 and rows >= 1")

    def fit(self, train: Train) -> Fit:
        sample: Rows
        mean: Tensor
        sample, mean = yield Sample(self.rows, seed=self.seed), UnitMean()
        self.directions_ = Directions(mean)
        z = self.directions_.fan(sample.features.double()).ways
        clusters = self.clusters or train.label_classes or train.classes or FALLBACK
        distinct = len(torch.unique(z, dim=0))
        centres, self.inertia_ = lloyd(z, plus_plus(z, min(clusters, distinct), seed=self.seed))
        self.centres_ = centres.float()

    def score(self, block: Block) -> Tensor:
        z = self.directions_.ways(block)
        halves = product(z, self.centres_.T, self.centres_.square().sum(dim=1) / -2)
        # directly, because the expanded square cancels in float32
        near = halves.topk(min(2, len(self.centres_)), dim=1).indices
        distances: Tensor = torch.linalg.vector_norm(z[:, None, :] - self.centres_[near], dim=2)
        return -distances.amin(dim=1)
