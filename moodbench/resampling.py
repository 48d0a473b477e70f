"""How far FPR95 could be off: a bootstrap of images, the same ones for all scores and models, in bounded memory.

The threshold of FPR95 is one of the ID scores, so its error is no sum over rows as that of an AUROC is. Images are
drawn anew instead, with replacement and within strata (the ID rows, the rows of each OOD dataset), and every draw has a
threshold of its own. All scores of all models see the same draws: what they have in common falls out of a difference.

A draw is kept as how often each image occurs in it. Of sorted ID scores only the lowest twentieth and a margin decide
on the threshold; of OOD scores each one above all thresholds or below them is a plain sum, and the few between are
summed up one by one. So a score costs a small part of a pass over its rows for each draw, without loops over draws.

References
----------
Efron, Ann. Stat. 7 (1979). Agresti and Min, Stat. Med. 24 (2005): two discordant halves more, for pairs of shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodbench.intervals import interval_of_variance
from moodbench.paired import Measured, Sample, rows_worth
from moodbench.ranking import Array, Ranking, rows_kept

REPLICATES = 1000
SEED = 0
TPR = 0.95

_BYTES = 64 * 2**20
"""Of the numbers of the images that are drawn at once; their counts are an eighth of that."""

Counts = NDArray[np.uint8]
"""(images, draws): how often each image is drawn. None of a million images is drawn 256 times in the age of the
universe, and of fewer than 256 none can be."""


@dataclass(frozen=True)
class Draws:
    """Bootstrap samples of images, the same ones whenever they are asked for.

    Attributes
    ----------
    strata : sequence of (n,) int
        Images that are drawn among one another. Images in no stratum are never drawn.
    images : int
    replicates, seed : int
    """

    strata: Sequence[NDArray[np.intp]]
    images: int
    replicates: int = REPLICATES
    seed: int = SEED

    def __iter__(self) -> Iterator[Counts]:
        """Yield counts (images, draws) until there were `replicates` draws."""
        generators = [np.random.default_rng([self.seed, number]) for number in range(len(self.strata))]
        most = max(1, _BYTES // (8 * max(1, self.images)))
        for start in range(0, self.replicates, most):
            draws = min(most, self.replicates - start)
            counts = np.zeros((self.images, draws), np.uint8)
            for stratum, rng in zip(self.strata, generators, strict=True):
                n = len(stratum)
                drawn = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
                counts[stratum] = np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).T
            yield counts


def strata_of(sides: Sequence[NDArray[np.int8]]) -> list[NDArray[np.intp]]:
    """Return the images that count alike in all comparisons, each group of them a stratum.

    Parameters
    ----------
    sides : sequence of (images,) int8
        Of each comparison or dataset: what each image counts as; -1 for those that take no part.
    """
    stacked = np.stack(sides)
    used = np.flatnonzero((stacked >= 0).any(axis=0))
    _, which = np.unique(stacked[:, used], axis=1, return_inverse=True)
    return [used[which.ravel() == number] for number in range(int(which.max(initial=-1)) + 1)]


class Resampled:
    """The FPR95 of one score in bootstrap samples.

    Parameters
    ----------
    id_samples, ood_samples : sequence of Sample
        As in `moodbench.paired.measure`.

    Raises
    ------
    ValueError
        A sample is empty, NaN is among the scores, or there is one ID row, of which 95 % are none.
    """

    def __init__(self, id_samples: Sequence[Sample], ood_samples: Sequence[Sample]) -> None:
        ranked = [Ranking(one.scores) for one in id_samples]
        at = [0] * len(ood_samples) if len(ranked) == 1 else range(len(ood_samples))
        self._each = tuple(ranked[i].against(one.scores).fpr(TPR) for i, one in zip(at, ood_samples, strict=True))
        self._at = at
        self._of_id = [_Sorted(one) for one in id_samples]
        self._of_ood = [_Sorted(one) for one in ood_samples]
        self._worth = rows_worth(id_samples, ood_samples)
        self._found: list[Array] = []

    def add(self, counts: Counts) -> None:
        """Take note of the FPR95, mean over the comparisons, in some draws more."""
        thresholds = [one.threshold(counts) for one in self._of_id]
        shares = [ood.accepted(counts, thresholds[i]) for i, ood in zip(self._at, self._of_ood, strict=True)]
        self._found.append(np.mean(shares, axis=0))

    def measured(self) -> Measured:
        """Return the mean FPR95 with its interval; its parts are the draws' deviations from their mean."""
        drawn = np.concatenate(self._found)
        parts = (drawn - drawn.mean()) / np.sqrt(max(1, drawn.size - 1))
        value = float(np.mean(self._each))
        weight = 1 / len(self._of_ood)
        return Measured(
            value,
            interval_of_variance(value, float(parts @ parts), self._worth),
            parts.astype(np.float32),
            self._each,
            self._worth,
            sum((weight / one.size) ** 2 for one in self._of_ood),
        )


class _Sorted:
    """Scores in rising order, and which images they are of."""

    def __init__(self, sample: Sample) -> None:
        order = np.argsort(sample.scores, kind="stable")
        self.size = len(order)
        self._scores = sample.scores[order]
        self._images = sample.images[order].astype(np.int32)

    def threshold(self, counts: Counts) -> Array:
        """Return the score, (draws,), that is the lowest of the 95 % highest rows of each draw."""
        below = self.size - rows_kept(TPR, self.size, "ID")
        rows = below + 1
        while True:
            rows = min(self.size, rows + 10 + 6 * int(np.sqrt(rows)))
            so_far = np.cumsum(counts[self._images[:rows]], axis=0, dtype=np.int32)
            if rows == self.size or (so_far[-1] > below).all():
                found: Array = self._scores[(so_far <= below).sum(axis=0)]
                return found

    def accepted(self, counts: Counts, thresholds: Array) -> Array:
        """Return the share of rows, (draws,), at or above each draw's threshold."""
        first = np.searchsorted(self._scores, thresholds, side="left")
        low, high = int(first.min()), int(first.max())
        if 2 * high > self.size:
            above = _sum(counts, self._images[high:])
        else:
            above = self.size - _sum(counts, self._images[:high])
        between = np.cumsum(counts[self._images[low:high][::-1]], axis=0, dtype=np.int32)
        between = np.concatenate([np.zeros((1, counts.shape[1]), np.int32), between])
        share: Array = (above + between[high - first, np.arange(counts.shape[1])]) / self.size
        return share


def _sum(counts: Counts, images: NDArray[np.int32]) -> NDArray[np.int32]:
    found: NDArray[np.int32] = counts[images].sum(axis=0, dtype=np.int32)
    return found
