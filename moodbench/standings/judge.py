"""Which of several means is the best, and which are not significantly worse."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from moodbench.metrics import Better
from moodbench.paired import Difference, Measured, difference, holm

LEVEL = 0.05
"""Differences with an adjusted p-value below this are significant."""

COMPARED = ("auroc", "fpr95")
"""Metrics for which the errors of differences are known."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Judged:
    """A mean, its difference to the best, and whether that could be luck."""

    measured: Measured
    difference: Difference
    p_adjusted: float
    not_worse: bool


def judged(means: Mapping[Key, Measured], better: Better) -> dict[Key, Judged]:
    """Return the means, best first, each compared with the best.

    The best was chosen by the same rows, so p-values are adjusted (Holm) for the comparison of all with one another.
    """
    order = sorted(means, key=lambda key: means[key].value, reverse=better == "higher")
    best = means[order[0]]
    apart = [Difference(0.0, 0.0, 0.0, 1.0), *(difference(means[key], best) for key in order[1:])]
    adjusted = [1.0, *holm([one.p for one in apart[1:]], len(order) * (len(order) - 1) // 2).tolist()]
    return {key: Judged(means[key], diff, p, p >= LEVEL) for key, diff, p in zip(order, apart, adjusted, strict=True)}
