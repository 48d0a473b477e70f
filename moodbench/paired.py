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

from moodbench.intervals import Z95, Interval
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
    """A mean AUROC and where its error comes from.

    Attributes
    ----------
    value : float
    interval : Interval or None
        None where comparisons do not share their ID rows: `moodbench.results` gives none either.
    parts : (images,) float32
        What each image adds to the error; the sum of their squares is the variance. Float32, because there may be a
        thousand of these at once, and seven digits of an error are plenty.
    """

    value: float
    interval: Interval | None
    parts: NDArray[np.float32]


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
    value = float(np.mean([comparison.auroc for comparison in comparisons]))
    return Measured(value, mean_auroc(comparisons) if shared else None, parts.astype(np.float32))


@dataclass(frozen=True)
class Difference:
    """A difference of two mean AUROCs with its 95 % limits, and the two-sided p-value of there being none."""

    value: float
    low: float
    high: float
    p: float


def difference(one: Measured, other: Measured) -> Difference:
    """Return `one` minus `other`, which are of the same images in the same order."""
    value = one.value - other.value
    error = sqrt(float(np.sum(np.square(one.parts.astype(np.float64) - other.parts))))
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
