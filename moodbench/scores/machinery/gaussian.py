"""Gaussians fitted to ID train, as what they are used for: a whitener, and class means in whitened coordinates.

Every Mahalanobis-like distance is ``||B^T (x - m)||^2`` with Sigma^+ = B B^T, so a row costs one product with B, and
one more with the whitened means where there are classes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums, Moment, SecondMoment, Statistic
from moodbench.scores.machinery.unit import centred_rows, exact_unit_features
from moodbench.scores.machinery.vectorised import row_argmax
from moodbench.sizes import many

RCOND = 1e-10
"""Directions whose variance is below this part of the largest are left out of the inverse. Features after a LayerNorm
have one of exactly zero, which comes out near 1e-14."""

ROUNDING = 64 * torch.finfo(torch.float64).eps
"""Part of a sum that its rounding may be: where rows are all the same, their covariance is nothing else."""

STORED = 8 * torch.finfo(torch.float32).eps
"""Part of a feature that its rounding may be: it was computed and stored in float32."""

FLOAT32_CONDITION = 1e6
"""Above this condition number rows are whitened in float64: the small directions drown in float32 rounding."""


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """The eigenvectors of a covariance of ID train, and the coordinates of rows along them.

    One product serves every score that weighs or selects directions of the same covariance: whitened rows and PCA
    reconstruction errors are the same coordinates with other lengths.

    Attributes
    ----------
    key : tuple
        Names the covariance, so that blocks are projected once for all scores that use it.
    unit : bool
        Rows are divided by their length first.
    centre : (D,) float64
        What rows are taken relative to: the mean row.
    values : (D,) float64
        Eigenvalues, rising; 0 where they are rounding.
    vectors : (D, D) float64
        In columns.
    basis : (D, D) float32 or float64
        The same, as rows are multiplied with it. In float64 where the covariance is ill-conditioned, because the small
        directions drown in float32 rounding.
    noise : float
        Variances up to this may be what float32 makes of features that do not vary.
    """

    key: tuple[object, ...]
    unit: bool
    centre: Tensor
    values: Tensor
    vectors: Tensor
    basis: Tensor
    noise: float = 0.0

    @property
    def note(self) -> str | None:
        """A word about directions that `in_range` leaves out though ID train varies in them."""
        return narrow_note(self.values, self.noise)

    def rows(self, block: Block) -> Tensor:
        """Return V^T (x - m), (B, D) float32, directions of small variance first."""
        return block.shared(("principal", *self.key), lambda: self._project(block))

    def _project(self, block: Block) -> Tensor:
        if self.basis.dtype == torch.float64:
            features = exact_unit_features(block) if self.unit else block.features.double()
            return ((features - self.centre) @ self.basis).float()
        # several covariances share the mean row
        centred = block.shared(
            ("centred", self.unit), lambda: centred_rows(block.features, self.centre, unit=self.unit)
        )
        return product(centred, self.basis)


@dataclass(frozen=True, eq=False)
class Whitener:
    """Takes rows to coordinates in which ID train is white.

    Attributes
    ----------
    axes : PrincipalAxes
    kept : (D,) bool
        The directions in which ID train varies.
    lengths : (r,) float32
        One over the standard deviation along each of them.
    """

    axes: PrincipalAxes
    kept: Tensor
    lengths: Tensor

    @property
    def key(self) -> tuple[object, ...]:
        """Names the whitener."""
        return self.axes.key

    @property
    def rank(self) -> int:
        """r, the number of directions in which ID train varies."""
        return len(self.lengths)

    @property
    def note(self) -> str | None:
        """A word about directions that are left out though ID train varies in them."""
        return self.axes.note

    @property
    def basis(self) -> Tensor:
        """B, (D, r) float64: rows are whitened by B^T (x - m)."""
        return self.axes.vectors[:, self.kept] / self.axes.values[self.kept].sqrt()

    def rows(self, block: Block) -> Tensor:
        """Return B^T (x - m), (B, r) float32."""
        return block.shared(("whitened", *self.key), lambda: self._whiten(block))

    def _whiten(self, block: Block) -> Tensor:
        rows = self.axes.rows(block)
        # eigenvalues rise, so what is kept is the end
        return rows[:, rows.shape[1] - self.rank :] * self.lengths


def whitener(
    train: Train,
    name: str,
    centre: Tensor,
    covariance: Callable[[], Tensor],
    *,
    unit: bool = False,
    least: float = 0.0,
) -> Whitener:
    """Return the whitener of a Gaussian; scores that name the same Gaussian share it and its eigenvectors.

    Parameters
    ----------
    train : Train
    name : str
        What the covariance is ("within", "total"); together with `unit` it must determine its value.
    centre : (D,) float64
        The mean row of ID train, of unit length if `unit`.
    covariance : callable
        Returns the covariance, (D, D) float64, symmetric.
    unit : bool
        As in `Whitener`.
    least : float
        Variances up to this are rounding, besides those that are so for the distance of the centre from zero.
    """

    def build() -> Whitener:
        axes = principal_axes(train, name, centre, covariance, unit=unit, least=least)
        kept = in_range(axes.values)
        return Whitener(axes, kept, axes.values[kept].rsqrt().float())

    return train.shared(("whitener", name, unit), build)


def principal_axes(
    train: Train,
    name: str,
    centre: Tensor,
    covariance: Callable[[], Tensor],
    *,
    unit: bool = False,
    least: float = 0.0,
) -> PrincipalAxes:
    """Return the principal axes of a named covariance, computed once for all scores; parameters as in `whitener`."""

    def build() -> PrincipalAxes:
        matrix = covariance()
        noise = STORED**2 * float((matrix.diagonal() + centre.square()).amax())
        values, vectors = torch.linalg.eigh(matrix)
        values = torch.where(values > max(least, rounding_variance(centre)), values, 0.0)
        kept = in_range(values)
        condition = float(values[-1] / values[kept][0]) if bool(kept.any()) else 1.0
        dtype = torch.float64 if condition > FLOAT32_CONDITION else torch.float32
        return PrincipalAxes((name, unit), unit, centre, values, vectors, vectors.to(dtype), noise)

    return train.shared(("principal_axes", name, unit), build)


def rounding_variance(centre: Tensor) -> float:
    """Return the variance that rounding alone gives to rows about a centre (D,) float64."""
    return float((ROUNDING * centre).square().sum())


def in_range(values: Tensor) -> Tensor:
    """Return which ascending eigenvalues of a covariance count as more than rounding, (D,) bool."""
    return values > RCOND * values[-1].clamp_min(torch.finfo(torch.float64).tiny)


ClassFit = Generator[tuple[Statistic[Any], ...], Any, "tuple[Moment, ClassGaussians]"]


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """Classes with means of their own and one covariance for all.

    Attributes
    ----------
    whitener : Whitener
        Of the pooled covariance, about the mean row.
    means : (K, r) float32
        Whitened class means of the K classes that have rows.
    counts : (K,) float64
        Rows of each.
    note : str or None
        A word about classes that have none, and about directions that are left out.
    """

    whitener: Whitener
    means: Tensor
    counts: Tensor
    note: str | None

    def halves(self, block: Block) -> Tensor:
        """Return `half_squares` of the block's whitened rows, (B, K)."""
        z = self.whitener.rows(block)
        return block.shared(("halves", *self.whitener.key), lambda: half_squares(z, self.means))

    def nearest(self, block: Block) -> Tensor:
        """Return the squared distance to the nearest class mean, (B,) float64."""
        return block.shared(
            ("nearest", *self.whitener.key),
            lambda: nearest_squared(self.whitener.rows(block), self.means, self.halves(block)),
        )


def half_squares(rows: Tensor, means: Tensor) -> Tensor:
    """Return z·m_k - ||m_k||^2 / 2, (B, K): -1/2 of the squared distance, but for the row's own ||z||^2 / 2."""
    return product(rows, means.T, means.square().sum(dim=1) / -2)


def squared_distance(rows: Tensor, means: Tensor, which: Tensor) -> Tensor:
    """Return ||z - m_k||^2, (B,) float64, with k the class that `which` (B,) names for each row."""
    return means.index_select(0, which).sub_(rows).square_().sum(dim=1, dtype=torch.float64)


def nearest_squared(rows: Tensor, means: Tensor, halves: Tensor) -> Tensor:
    """Return the squared distance of each row to the nearest mean, (B,) float64.

    The two nearest by the expanded square (`half_squares`) are measured directly, because the expansion cancels in
    float32. A second pass for the maximum is several times faster than the two largest by `topk`.
    """
    first = row_argmax(halves)[:, None]
    best = squared_distance(rows, means, first[:, 0])
    if len(means) == 1:
        return best
    largest = halves.gather(1, first)
    halves.scatter_(1, first, -torch.inf)
    second = row_argmax(halves)
    halves.scatter_(1, first, largest)  # others read them too
    return torch.minimum(best, squared_distance(rows, means, second))


def empty_classes(train: Train, present: int) -> str | None:
    """Return what the results say where only `present` of the classes that the benchmark uses have ID train rows."""
    used = train.label_classes if train.used_classes is None else train.used_classes
    return f"{used - present} of {used} classes have no ID train rows and are left out" if present < used else None


def narrow_note(values: Tensor, noise: float, kept: Tensor | None = None) -> str | None:
    """Return what the results say where directions are left out that vary by more than rounding.

    Parameters
    ----------
    values : (D,) float64
        Variances, rising.
    noise : float
        Variances up to this may be rounding, and deserve no word; nor do directions that do not vary.
    kept : (D,) bool, optional
        The directions that are not left out; by default those `in_range`.
    """
    narrow = int((~(in_range(values) if kept is None else kept) & (values > noise)).sum())
    return (
        f"{narrow} of {len(values)} directions vary by less than 1e-5 of the widest and are left out"
        if narrow
        else None
    )


def joined_notes(*notes: str | None) -> str | None:
    """Return several notes as one."""
    return "; ".join(filter(None, notes)) or None


def fit_class_gaussians(train: Train, *, unit: bool = False) -> ClassFit:
    """Return (with ``yield from``, inside a fit) the second moment of ID train and its `ClassGaussians`: one pass."""
    moment: Moment
    classes: GroupSums
    moment, classes = yield (
        SecondMoment(unit=unit),
        FeatureSumsByLabel(train.label_classes, unit=unit),
    )
    return moment, class_gaussians(train, moment, classes, unit=unit)


def class_gaussians(train: Train, moment: Moment, classes: GroupSums, *, unit: bool = False) -> ClassGaussians:
    """Return the classes of ID train under their pooled covariance (divided by N); classes without rows are left out.

    `moment` and `classes` are those of all ID train rows, of unit length if `unit`.
    """

    def build() -> ClassGaussians:
        present = classes.counts > 0
        means, counts = classes.means[present], classes.counts[present]
        labelled = int(counts.sum())
        if labelled <= len(counts):  # each row is its class's mean, and every distance would be 0
            raise ScoreError(
                f"{many(labelled, 'labelled ID train row')} of {many(len(counts), 'class', 'classes')} say nothing of "
                "a covariance within classes"
            )
        centred = means - moment.mean

        total = moment.covariance_about(moment.mean)

        def within() -> Tensor:
            return total - (centred.T * counts) @ centred / moment.count

        least = ROUNDING * float(total.trace())  # of that difference, where the rows of a class are all the same
        white = whitener(train, "within", moment.mean, within, unit=unit, least=least)
        whitened = (centred @ white.basis).float()
        note = joined_notes(empty_classes(train, len(counts)), white.note)
        return ClassGaussians(white, whitened, counts, note)

    return train.shared(("class_gaussians", unit), build)
