"""Is the difference of two mean AUROCs on the same rows more than luck? DeLong's paired variance, Holm's adjustment.

DeLong writes an AUROC as a mean over rows, of each row's share of won pairs. So its error is a sum over rows too, and
the error of a difference is that of the differences row by row: what two scores have in common, hard images first of
all, falls out. An image that several comparisons share (the ID rows of all OOD datasets; in one-class protocols a row
is ID once and OOD otherwise) has its parts added before they are squared.

References
----------
DeLong et al., Biometrics 44 (1988). Holm, Scand. J. Stat. 6 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moodbench.intervals import Z95, Interval, interval_of_variance
from moodbench.ranking import Array, Comparison, Ranking, mean_auroc

_ROUNDING = 1e-12
"""A difference below this is none: AUROCs are sums of counts, divided."""


@dataclass(frozen=True)
class Sample:
    """Scores of some images (n,), and which images these are: indices (n,) into all images of the benchmark."""

    scores: Array
    images: NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """A mean over OOD datasets and where its error comes from.

    Attributes
    ----------
    value : float
    interval : Interval or None
        None where comparisons do not share their ID rows: `moodbench.results` gives none either.
    parts : (p,) float32
        The sum of their squares is the variance, and that of differences to another one's parts the variance of the
        difference. Of an AUROC, p is the number of images, and each part what the image adds to the error; of an FPR95
        that of bootstrap replicates (`moodbench.resampling`). Float32, because there may be a thousand of these at
        once, and seven digits of an error are plenty.
    each : tuple of float
        The value of each comparison, in order.
    worth : float
        How many rows the samples are worth together, see `moodbench.intervals.interval_of_variance`.
    unseen : float
        Variance that every difference has, whatever the rows show: no image of a few that are OOD may have been
        accepted by either score, and the next one can be.
    """

    value: float
    interval: Interval | None
    parts: NDArray[np.float32]
    each: tuple[float, ...] = ()
    worth: float = 1.0
    unseen: float = 0.0


def measure(id_samples: Sequence[Sample], ood_samples: Sequence[Sample], images: int) -> Measured:
    """Return the mean AUROC over pairs of an ID and an OOD sample.

    Parameters
    ----------
    id_samples, ood_samples : sequence of Sample
        The first ID sample against the first OOD sample, and so on. One ID sample alone is compared with all.
    images : int
        How many images the benchmark has.

    Raises
    ------
    ValueError
        A sample is empty, or NaN is among the scores.
    """
    shared = len(id_samples) == 1
    weight = 1 / len(ood_samples)
    parts = np.zeros(images)
    comparisons: list[Comparison] = []
    ranked = [Ranking(sample.scores) for sample in id_samples]
    for number, ood in enumerate(ood_samples):
        at = 0 if shared else number
        comparison = ranked[at].against(ood.scores)
        comparisons.append(comparison)
        for sample, sorted_components in (
            (id_samples[at], comparison.id_components),
            (ood, comparison.ood_components),
        ):
            components = np.empty_like(sorted_components)
            components[np.argsort(sample.scores)] = sorted_components  # rows that tie have equal ones
            rows = len(components)
            parts[sample.images] += weight * (components - components.mean()) / sqrt(rows * max(rows - 1, 1))
    each = tuple(comparison.auroc for comparison in comparisons)
    return Measured(
        float(np.mean(each)),
        mean_auroc(comparisons) if shared else None,
        parts.astype(np.float32),
        each,
        rows_worth(id_samples, ood_samples),
    )


def rows_worth(id_samples: Sequence[Sample], ood_samples: Sequence[Sample]) -> float:
    """Return how many rows the samples of a mean over comparisons are worth together."""
    weights = [(1 / len(some), one) for some in (id_samples, ood_samples) for one in some]
    return 1 / sum(weight**2 / len(one.scores) for weight, one in weights)


def mean_over(some: Sequence[Measured]) -> Measured:
    """Return the mean of several measured on the same comparisons: over scores, or over models.

    Each comparison's value is the mean too. An error is a sum over rows, so that of a mean is the mean of the errors
    row by row: rows that are hard for all of them stay, the rest averages out.
    """
    if len(some) == 1:
        return some[0]
    each = np.mean([one.each for one in some], axis=0)
    worth, unseen = (float(np.mean([getattr(one, name) for one in some])) for name in ("worth", "unseen"))
    return _averaged(some, tuple(each.tolist()), worth, unseen)


def mean_over_benchmarks(some: Sequence[Measured]) -> Measured:
    """Return the mean of several measured on benchmarks whose parts are of the same images, or draws, in one order.

    What rows of several benchmarks are worth together depends on how many they share, and is taken as if they shared
    all: too few rows rather than too many.
    """
    if len(some) == 1:
        return some[0]
    each = tuple(value for one in some for value in one.each)
    worth = len(some) / sum(1 / one.worth for one in some)
    return _averaged(some, each, worth, sum(one.unseen for one in some) / len(some) ** 2)


def _averaged(some: Sequence[Measured], each: tuple[float, ...], worth: float, unseen: float) -> Measured:
    value = float(np.mean([one.value for one in some]))
    parts: Array = np.mean(np.stack([one.parts for one in some]), axis=0, dtype=np.float64)
    interval = None
    if all(one.interval is not None for one in some):
        interval = interval_of_variance(value, float(parts @ parts), worth)
    return Measured(value, interval, parts.astype(np.float32), each, worth, unseen)


@dataclass(frozen=True)
class Difference:
    """A difference of two means with its 95 % limits, and the two-sided p-value of there being none."""

    value: float
    low: float
    high: float
    p: float


def difference(one: Measured, other: Measured) -> Difference:
    """Return `one` minus `other`, which are of the same images in the same order."""
    value = one.value - other.value
    apart = one.parts.astype(np.float64) - other.parts
    error = sqrt(float(apart @ apart) + max(one.unseen, other.unseen))
    if abs(value) < _ROUNDING:
        value, p = 0.0, 1.0
    else:
        p = erfc(abs(value) / error / sqrt(2)) if error > 0 else 0.0
    return Difference(value, max(-1.0, value - Z95 * error), min(1.0, value + Z95 * error), p)


def holm(p: ArrayLike, comparisons: int | None = None) -> Array:
    """Return p-values adjusted so that at most 5 % of families have any false one below 0.05 (Holm's method).

    Parameters
    ----------
    p : (k,)
    comparisons : int, optional
        How many there are in the family, at least k; by default k. Whoever compares with the best of what the same rows
        say has chosen among all pairs, n (n - 1) / 2, and not only among the n - 1 that are then looked at: of 10 equal
        scores the largest and the smallest differ by more than chance allows two of them.
    """
    given = np.asarray(p, dtype=np.float64)
    family = max(given.size, comparisons or 0)
    order = np.argsort(given, kind="stable")
    steps = family - np.arange(given.size)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * steps)) if given.size else given
    return adjusted
