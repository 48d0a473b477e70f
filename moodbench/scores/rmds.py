"""Relative Mahalanobis: the distance to the nearest class less the distance to the data as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import fit_class_gaussians, joined_notes, whitener


@SCORES.register("rmds")
@dataclass
class RelativeMahalanobis(Score):
    """``-min_k [(x - mu_k)^T Sw^+ (x - mu_k) - (x - mu)^T St^+ (x - mu)]``.

    Sw is the pooled covariance about the class means of true labels, St the covariance about the mean row of ID train,
    both divided by N. Classes without rows are left out.

    Attributes
    ----------
    classes_ : ClassGaussians
        The classes that have rows.
    whole_ : Whitener
        Of all rows.

    Notes
    -----
    The score is a small difference of large numbers: statistics and sums of squares are float64.

    References
    ----------
    Ren et al., A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection, arXiv 2106.09022 (2021).
    Reference code: Jingkang50/OpenOOD, openood/postprocessors/rmds_postprocessor.py. Difference: there everything is
    float32. Other public variants are other scores: square roots of the distances, or a background covariance that is a
    sum instead of a mean and so hardly counts.
    """

    title = "RMDS"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Ren et al., 2021, arXiv 2106.09022"
    year = 2021

    unit: ClassVar[bool] = False
    """Rows are divided by their length first."""

    def fit(self, train: Train) -> Fit:
        moment, self.classes_ = yield from fit_class_gaussians(train, unit=self.unit)
        mean = moment.mean
        self.whole_ = whitener(train, "total", mean, lambda: moment.covariance_about(mean), unit=self.unit)
        within = self.classes_.whitener
        self.note_ = joined_notes(self.classes_.note, None if within.note else self.whole_.note)

    def score(self, block: Block) -> Tensor:
        whole = self.whole_.rows(block).square().sum(dim=1, dtype=torch.float64)
        return whole - self.classes_.nearest(block)


@SCORES.register("rmds_pp")
@dataclass
class RelativeMahalanobisPlusPlus(RelativeMahalanobis):
    """``-min_k [(z - mu_k)^T Sw^+ (z - mu_k) - (z - mu)^T St^+ (z - mu)]`` with z = x / ||x||.

    The same as `rmds` on features of unit length, means and covariances being those of the unit rows of ID train.

    Attributes
    ----------
    classes_ : ClassGaussians
        The classes that have rows.
    whole_ : Whitener
        Of all rows.

    References
    ----------
    Müller and Hein, Mahalanobis++: Improving OOD Detection via Feature Normalization, ICML 2025, arXiv 2505.18032.
    Reference code: mueller-mp/maha-norm, NINCO/detection_methods.py.
    """

    title = "RMDS++"
    paper = "Müller and Hein, ICML 2025, arXiv 2505.18032"
    year = 2025

    unit: ClassVar[bool] = True
