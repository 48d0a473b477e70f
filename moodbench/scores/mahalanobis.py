"""Mahalanobis: the distance to the nearest class mean under one covariance for all classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import fit_class_gaussians


@SCORES.register("mahalanobis")
@dataclass
class Mahalanobis(Score):
    """``-min_k (x - mu_k)^T Sigma^+ (x - mu_k)``: no square root, no one half.

    mu_k are the means of the ID train rows with true label k, Sigma their pooled covariance (divided by N). Classes
    without rows are left out.

    Attributes
    ----------
    classes_ : ClassGaussians
        The classes that have rows.

    Notes
    -----
    With a whitener B (Sigma^+ = B B^T) a row costs one product with B and one with the whitened means, instead of one
    with Sigma^+ for every class. Rows are centred before; the two nearest classes by the expanded square are then
    measured directly, because the expansion cancels in float32.

    References
    ----------
    Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks,
    NeurIPS 2018, arXiv 1807.03888, on the penultimate features as in dvlab-research/MOOD, MOODv2/src/benchmark.py.
    Difference: there a class without rows makes every score NaN.
    """

    title = "Mahalanobis"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Lee et al., NeurIPS 2018, arXiv 1807.03888"
    year = 2018

    unit: ClassVar[bool] = False
    """Rows are divided by their length first."""

    def fit(self, train: Train) -> Fit:
        _, self.classes_ = yield from fit_class_gaussians(train, unit=self.unit)
        self.note_ = self.classes_.note

    def score(self, block: Block) -> Tensor:
        return -self.classes_.nearest(block)


@SCORES.register("maha_pp")
@dataclass
class MahalanobisPlusPlus(Mahalanobis):
    """``-min_k (z - mu_k)^T Sigma^+ (z - mu_k)`` with z = x / ||x||: Mahalanobis on features of unit length.

    mu_k and Sigma are class means and pooled covariance (divided by N) of the unit rows of ID train, by true label.
    Classes without rows are left out.

    Attributes
    ----------
    classes_ : ClassGaussians
        The classes that have rows.

    References
    ----------
    Müller and Hein, Mahalanobis++: Improving OOD Detection via Feature Normalization, ICML 2025, arXiv 2505.18032.
    Reference code: mueller-mp/maha-norm, NINCO/detection_methods.py. Difference: a row of zeros stays zero, which
    there is not a number.
    """

    title = "Mahalanobis++"
    paper = "Müller and Hein, ICML 2025, arXiv 2505.18032"
    year = 2025

    unit: ClassVar[bool] = True
