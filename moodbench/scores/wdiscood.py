"""WDiscOOD: distances in the whitened space that tells classes apart, and in what is left of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import fit_class_gaussians, half_squares, in_range, nearest_squared
from moodbench.scores.residual import reference_dim


@SCORES.register("wdiscood")
@dataclass
class WDiscOOD(Score):
    """``-min_k ||G^T (y - m_k)|| - weight · ||H^T (y - m)||`` with y the whitened row.

    Rows are whitened with the within-class covariance of ID train; m_k are the class means there and m the mean of all
    rows. G are the directions of the largest eigenvalues of the class means' covariance about m (each class counts the
    same), which are the linear discriminants; H is their orthogonal complement.

    Parameters
    ----------
    dim : int, default=0
        Number of discriminants, at most those that there are: one less than classes. 0 takes 512 for D >= 768 and 1000
        for D >= 2048, as the authors do for a ViT and a ResNet-50, else half of D.
    weight : float, default=1
        Weight of the residual distance: the authors' value for a ViT. They take 5 for a ResNet-50.
    unit : bool, default=True
        Divide rows by their length first, as the authors do for all their models but the ResNet-50.

    Attributes
    ----------
    whitener_ : Whitener
        Within classes.
    discriminants_ : (r, q) float32
        G.
    means_ : (K, q) float32
        G^T m_k of the classes that have rows.

    References
    ----------
    Chen et al., WDiscOOD: Out-of-Distribution Detection via Whitened Linear Discriminant Analysis, ICCV 2023,
    arXiv 2303.07543. Reference code: ivalab/WDiscOOD, ood_scores/scorer_dist.py. Differences: a symmetric eigen-solver
    (the matrix is symmetric after whitening), and no more discriminants than there are (further ones are arbitrary
    directions of a null space). Classes without rows are left out.
    """

    title = "WDiscOOD"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Chen et al., ICCV 2023, arXiv 2303.07543"
    year = 2023

    dim: int = 0
    weight: float = 1.0
    unit: bool = True

    def __post_init__(self) -> None:
        if self.dim < 0:
            raise UsageError(f"the number of discriminants must not be negative, got {self.dim}")

    def fit(self, train: Train) -> Fit:
        _, gaussians = yield from fit_class_gaussians(train, unit=self.unit)
        means = gaussians.means.double()
        values, vectors = torch.linalg.eigh(means.T @ means / len(means))  # rows are centred: m is the origin
        found = int(in_range(values).sum()) if len(values) else 0
        wanted = min(self.dim or reference_dim(train.dim, 1000), found)
        self.whitener_, self.note_ = gaussians.whitener, gaussians.note
        self.discriminants_ = vectors[:, len(values) - wanted :].float().contiguous()
        self.means_ = (means @ vectors[:, len(values) - wanted :]).float()

    def score(self, block: Block) -> Tensor:
        y = self.whitener_.rows(block)
        telling = y @ self.discriminants_
        nearest = nearest_squared(telling, self.means_, half_squares(telling, self.means_))
        # what the discriminants do not tell, by Pythagoras: sums in float64 do not cancel
        whole, told = (part.square().sum(dim=1, dtype=torch.float64) for part in (y, telling))
        return -nearest.sqrt() - self.weight * (whole - told).clamp_min(0).sqrt()
