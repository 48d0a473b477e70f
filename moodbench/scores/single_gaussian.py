"""One Gaussian for all of ID train: SSD, MOODv1's shrunk Gaussian, and the variance norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import (
    FLOAT32_CONDITION,
    STORED,
    PrincipalAxes,
    in_range,
    narrow_note,
    principal_axes,
    rounding_variance,
    whitener,
)
from moodbench.scores.machinery.statistics import Mean, Moment, SecondMoment
from moodbench.scores.machinery.unit import exact_unit_features

MOST_LOST = 8
"""Null directions of a covariance that are worth correcting for one by one. A LayerNorm leaves one."""


@SCORES.register("ssd")
@dataclass
class SSD(Score):
    """``-(z - m)^T S^+ (z - m)`` with z = x / ||x||, m and S mean and covariance of z over ID train.

    One cluster, as the paper's default. MOODv1's single-Gaussian Mahalanobis is the same formula.

    Attributes
    ----------
    slanted_ : SlantedAxes or None
        Takes rows to white coordinates by those that other scores have too; None where a feature does not vary.
    whitener_ : Whitener
        Where there is no `slanted_`: takes rows there directly.

    Notes
    -----
    The paper standardises every feature of z before. That leaves the distance as it is, and decides which directions
    the pseudo-inverse drops: so the cut-off here is on the eigenvalues of the correlation matrix. Features that do not
    vary on ID train are left out (the reference divides them by 1e-10).

    References
    ----------
    Sehwag et al., SSD: A Unified Framework for Self-Supervised Outlier Detection, ICLR 2021, arXiv 2103.12051.
    Reference code: inspire-group/SSD, eval_ssd.py with --clusters 1.
    """

    title = "SSD"
    family = "feature"
    paper = "Sehwag et al., ICLR 2021, arXiv 2103.12051"
    year = 2021

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment(unit=True)
        mean = moment.mean
        covariance = moment.covariance_about(mean)
        variances = covariance.diagonal()
        # what float32 features cannot tell from a constant is rounding
        least = max(torch.finfo(torch.float32).eps ** 2 * float(variances.amax()), rounding_variance(mean))
        varies = variances > least
        total = principal_axes(train, "total", mean, lambda: covariance, unit=True)
        self.slanted_ = SlantedAxes.of(total, variances) if bool(varies.all()) else None
        if self.slanted_ is not None:
            self.note_ = total.note
            return
        scale = torch.where(varies, variances, torch.inf).rsqrt()
        correlation = whitener(train, "correlation", mean, lambda: covariance * scale * scale[:, None], unit=True)
        axes = correlation.axes
        scaled = replace(axes, key=("standardised", True), basis=axes.basis * scale[:, None].to(axes.basis.dtype))
        self.whitener_ = replace(correlation, axes=scaled)
        noise = STORED**2 * float(((variances + mean.square()) * scale.square()).amax())  # of standardised features
        self.note_ = narrow_note(axes.values, noise)

    def score(self, block: Block) -> Tensor:
        rows = self.whitener_.rows(block) if self.slanted_ is None else self.slanted_.rows(block)
        return -rows.square().sum(dim=1)


@dataclass(frozen=True, eq=False)
class SlantedAxes:
    """Rows whitened by the correlation matrix, from coordinates along the axes of the covariance.

    Within the range of the covariance S both give the same distance. A part of x - m outside of it, along the null
    space N, the correlation's pseudo-inverse drops at right angles to D^1/2 N, with D the diagonal of S: so x moves
    to x - D N (N^T D N)^-1 N^T (x - m) first. That saves a product, because others have these coordinates anyway.

    Attributes
    ----------
    axes : PrincipalAxes
    slant : (q, D - q) float32
        What a unit along each null direction takes away from the other coordinates.
    lengths : (D - q,) float32
    """

    axes: PrincipalAxes
    slant: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, axes: PrincipalAxes, variances: Tensor) -> SlantedAxes | None:
        """Return them for a covariance with these variances; None where it is not clear what its range is."""
        kept = in_range(axes.values)
        least = axes.values[kept][:1]
        lost = int((~kept).sum())
        if lost > MOST_LOST or len(least) == 0 or float(least) * FLOAT32_CONDITION < float(axes.values[-1]):
            return None
        null, rest = axes.vectors[:, :lost], axes.vectors[:, lost:]
        slant = torch.linalg.solve(null.T @ (variances[:, None] * null), null.T @ (variances[:, None] * rest))
        return cls(axes, slant.float(), axes.values[kept].rsqrt().float())

    def rows(self, block: Block) -> Tensor:
        """Return the whitened rows, (B, D - q) float32."""
        rows, lost = self.axes.rows(block), len(self.slant)
        straight = rows[:, lost:] if lost == 0 else torch.addmm(rows[:, lost:], rows[:, :lost], self.slant, alpha=-1)
        return straight * self.lengths


@SCORES.register("gauss_lw")
@dataclass
class GaussLedoitWolf(Score):
    """``log N(z; m, S)`` with z = x / ||x||, m the mean of z over ID train, S its Ledoit-Wolf covariance.

    S = (1 - a) C + a t I, with C the covariance of z (divided by N), t the mean of its diagonal, and the weight a that
    Ledoit and Wolf estimate to be best: a = min(b, d) / d with d = ||C - t I||_F^2 and
    b = (mean of ||z - m||^4 - ||C||_F^2) / N.

    Attributes
    ----------
    axes_ : PrincipalAxes
        Of the covariance.
    shrinkage_ : float
        What Ledoit and Wolf's formula gives.
    precisions_ : (D,) float32
        One over the shrunk eigenvalues; 0 for directions that are left out.
    constant_ : float
        The log density at the mean.

    Notes
    -----
    The mean of ||z - m||^4 takes a second pass over ID train.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling Is All You Need, CVPR 2023,
    arXiv 2302.02615; its code (dvlab-research/MOOD, MOODv1/ood_utils.py) cannot be run as it is, and takes a norm for
    the determinant. Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal
    of Multivariate Analysis 88 (2004); scikit-learn's LedoitWolf is the same estimate.
    """

    title = "Gaussian (MOODv1)"
    family = "feature"
    paper = "Li et al., CVPR 2023, arXiv 2302.02615"
    year = 2023

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment(unit=True)
        mean = moment.mean
        quartic: float = yield Mean(
            "unit_features_to_mean_quartic",
            lambda block: (exact_unit_features(block) - mean).square().sum(dim=1).square(),
        )
        covariance = moment.covariance_about(mean)
        # shrinking keeps the eigenvectors
        self.axes_ = principal_axes(train, "total", mean, lambda: covariance, unit=True)
        level = float(self.axes_.values.clamp_min(0).sum()) / train.dim
        if level <= 0:
            raise ScoreError("ID train rows do not vary")
        square = float(covariance.square().sum())
        distance = square - train.dim * level**2
        error = (quartic - square) / moment.count
        self.shrinkage_ = min(max(error, 0.0) / distance, 1.0) if distance > 0 else 1.0
        shrunk = (1 - self.shrinkage_) * self.axes_.values.clamp_min(0) + self.shrinkage_ * level
        usable = in_range(shrunk)
        self.note_ = narrow_note(self.axes_.values, self.axes_.noise, usable)
        self.precisions_ = torch.where(usable, 1 / shrunk, 0.0).float()
        self.constant_ = -(float(shrunk[usable].log().sum()) + train.dim * math.log(2 * math.pi)) / 2

    def score(self, block: Block) -> Tensor:
        squares = self.axes_.rows(block).square().mul_(self.precisions_).sum(dim=1, dtype=torch.float64)
        return self.constant_ - squares / 2


@SCORES.register("variance_norm")
@dataclass
class VarianceNorm(Score):
    """``-sqrt((x - m)^T S^+ (x - m))`` with m and S mean and covariance of ID train: the norm within its range.

    Attributes
    ----------
    whitener_ : Whitener
        Of ID train.

    Notes
    -----
    The variance norm is infinite where x - m has a part outside the range of S. Whether it has is a question of
    rounding, and infinite scores would tie most rows, so that part is left out. Where the range is not all of the
    feature space, the results say so.

    References
    ----------
    Cass et al., Variance Norms for Kernelized Anomaly Detection, 2024, arXiv 2407.11873.
    """

    title = "Variance norm"
    family = "feature"
    paper = "Cass et al., 2024, arXiv 2407.11873"
    year = 2024

    def fit(self, train: Train) -> Fit:
        moment: Moment = yield SecondMoment()
        mean = moment.mean

        def covariance() -> Tensor:
            return moment.covariance_about(mean)

        self.whitener_ = whitener(train, "total", mean, covariance)
        rank = self.whitener_.rank
        if rank < train.dim:
            self.note_ = f"ID train varies in {rank} of {train.dim} dimensions; the rest is left out"

    def score(self, block: Block) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(self.whitener_.rows(block), dim=1)
        return -length
