"""ID scores, sorted once, against the OOD scores of one dataset after another: what metrics are computed from.

Higher scores mean more in-distribution. Scores come as `id_scores` (n,) and `ood_scores` (m,), any order, ties and
infinities allowed; metrics are fractions in [0, 1], from ranks of the raw values (AUTC alone reads the values
themselves). Values are never squashed or rounded: a sigmoid in float32, as some metric libraries apply, ties large
scores and turns a true AUROC of 0.98 into 0.5. `moodbench.metrics.METRICS` says of every metric how to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moodbench.intervals import Interval, Sample, interval

Array = NDArray[np.float64]
Kind = TypeVar("Kind", bound=np.generic)
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True)
class Failures:
    """ID scores in rising order (n,), and whether the classifier is right about each row (n,) bool."""

    sorted: Array
    correct: NDArray[np.bool_]

    @cached_property
    def wrong_ranks(self) -> tuple[Array, Array]:
        """For each score: how many wrong rows are below it, and at or below it."""
        wrong = np.r_[0.0, np.cumsum(~self.correct, dtype=np.float64)]
        below, at_or_below = (np.searchsorted(self.sorted, self.sorted, side=side) for side in SIDES)
        return wrong[below], wrong[at_or_below]


class Ranking:
    """ID scores of one (model, score), sorted once, to be compared with several OOD datasets.

    Parameters
    ----------
    id_scores : (n,)
    correct : (n,) bool, optional
        Whether the classifier is right about each row; without it there is no failure view (`aurc`, `failure_auroc`).
    confidence : (n,) float64, optional
        Softmax probability of each row's predicted class.
    unknown : (n,) bool, optional
        Rows that have no score, for which `id_scores` has the lowest, so that each is an error. Where failures are
        looked for, one that the classifier is wrong about is an error as the highest of all scores, and is taken so.

    Raises
    ------
    ValueError
        No scores, NaN among them, or not one `correct`, `unknown` and `confidence` for each.
    """

    def __init__(
        self,
        id_scores: ArrayLike,
        correct: ArrayLike | None = None,
        unknown: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
    ) -> None:
        values = np.asarray(id_scores, dtype=np.float64).ravel()
        order = np.argsort(values)
        self.sorted: Array = _checked(values[order], "ID")
        self.correct: NDArray[np.bool_] | None = None
        self.failures: Failures | None = None
        self.predictions: tuple[Array, NDArray[np.bool_]] | None = None
        if correct is not None:
            flags = _flags(correct, values.size, "correct or not")
            if confidence is not None:  # as they come: what all scores share must be the same number for all
                sure = np.asarray(confidence, np.float64).ravel()
                self.predictions = _one_each(sure, values.size, "confident"), flags
            self.correct = flags[order]
            self.failures = Failures(self.sorted, self.correct)
            if unknown is not None:
                worst = np.where(_flags(unknown, values.size, "known or not") & ~flags, np.inf, values)
                order = np.argsort(worst)
                self.failures = Failures(worst[order], flags[order])

    def against(self, ood_scores: ArrayLike) -> Comparison:
        """Return the comparison with one OOD dataset's scores."""
        return Comparison(self, _sorted(ood_scores, "OOD"))

    @cached_property
    def below(self) -> Array:
        """(n,) how many ID scores are below each (sorted) ID score."""
        return _below(self.sorted, self.sorted)

    @cached_property
    def wins_over_wrong(self) -> float:
        """Number of pairs of a correct and a wrong ID row whose correct row has the higher score; ties count half."""
        assert self.failures is not None
        below, at_or_below = self.failures.wrong_ranks
        return float((below + at_or_below)[self.failures.correct].sum() / 2)

    @cached_property
    def aurc(self) -> float | None:
        """Area under the risk-coverage curve of the ID rows: mean over k of the share of errors among the top k rows.

        Rows with equal scores take its expected value over their random orders: each has the error rate of its tie.
        None without `correct`. The error rate itself is what a score gets that knows nothing; no score gets below about
        e + (1 - e) ln(1 - e), with e the error rate.

        References
        ----------
        Geifman and El-Yaniv, NeurIPS 2017; Geifman et al., ICLR 2019 (mean over coverages, no trapezoid).
        """
        if self.failures is None:
            return None
        below, at_or_below = self.failures.wrong_ranks
        scores = self.failures.sorted
        errors = np.cumsum(((at_or_below - below) / (_at_or_below(scores, scores) - _below(scores, scores)))[::-1])
        return float(np.mean(errors / np.arange(1, errors.size + 1)))

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The range of the finite ID scores without the outermost 1 % at each end (nothing is left out up to n = 100).

        Order statistics number (n - 1) // 100, from either end. The plain minimum and maximum would do for bounded
        scores, but one outlying row sets them, and they drift with n: on the same normal scores AUTC goes from 0.37 at
        n = 200 to 0.41 at n = 50,000, and stays at 0.35 with this range. An ECDF of ID scores needs no range, but makes
        AUTC an affine function of AUROC, which says nothing new.
        """
        finite = self.sorted[np.isfinite(self.sorted)]
        if finite.size == 0:
            return 0.0, 0.0
        cut = (finite.size - 1) // 100
        return float(finite[cut]), float(finite[-1 - cut])

    def scaled(self, scores: Array) -> Array:
        """Return 1 for scores at or below the range of ID scores (most OOD), 0 at or above it, linear in between."""
        low, high = self.scale
        if low == high:  # a saturated score: the limit of a range that ends where nearly all ID rows are
            return np.where(scores < high, 1.0, 0.0)
        scaled: Array = np.clip((high - scores) / (high - low), 0, 1)
        return scaled

    @cached_property
    def mean_scaled(self) -> float:
        """Mean of the scaled ID scores."""
        return float(self.scaled(self.sorted).mean())


@dataclass(frozen=True)
class Comparison:
    """Sorted ID and OOD scores and what follows from their ranks."""

    ranked: Ranking
    ood: Array

    @property
    def id(self) -> Array:
        """(n,) ID scores, sorted."""
        return self.ranked.sorted

    @cached_property
    def _ood_in_id(self) -> tuple[Array, Array]:
        """For each OOD score: how many ID scores are below it, and at or below it."""
        return _below(self.id, self.ood), _at_or_below(self.id, self.ood)

    @cached_property
    def _id_in_ood(self) -> tuple[Array, Array]:
        """For each ID score: how many OOD scores are below it, and at or below it."""
        return _below(self.ood, self.id), _at_or_below(self.ood, self.id)

    @cached_property
    def id_components(self) -> Array:
        """(n,) share of OOD scores below each (sorted) ID score, ties counting half: DeLong's structural components."""
        below, at_or_below = self._id_in_ood
        components: Array = (below + at_or_below) / (2 * self.ood.size)
        return components

    @cached_property
    def ood_components(self) -> Array:
        """(m,) share of ID scores above each (sorted) OOD score, ties counting half."""
        below, at_or_below = self._ood_in_id
        components: Array = 1 - (below + at_or_below) / (2 * self.id.size)
        return components

    @property
    def auroc(self) -> float:
        """P(ID score > OOD score) + P(equal) / 2, exact with ties."""
        below, at_or_below = self._ood_in_id
        # counts are integers below 2^53: the sum is exact, in any order
        wins = float(self.id.size) * self.ood.size - (below.sum() + at_or_below.sum()) / 2
        return float(wins / (float(self.id.size) * self.ood.size))

    def auroc_interval(self) -> Interval:
        """The AUROC with its 95 % interval, see `moodbench.intervals`."""
        return mean_auroc([self])

    def fpr(self, tpr: float = 0.95) -> float:
        """Share of OOD scores at or above the threshold that keeps `tpr` of the ID scores (ID is positive).

        The threshold is the floor(tpr·n)-th largest ID score, as in the ViM and MOODv2 code: with n not divisible by 20
        a little less than 95 % are kept.

        Raises
        ------
        ValueError
            There are so few ID scores that none would be kept.
        """
        threshold = self.id[self.id.size - rows_kept(tpr, self.id.size, "ID")]
        accepted = self.ood.size - int(np.searchsorted(self.ood, threshold, side="left"))
        return accepted / self.ood.size

    def fpr_ood(self, tpr: float = 0.95) -> float:
        """Share of ID scores at or below the threshold that detects `tpr` of the OOD scores (OOD is positive).

        The threshold is the floor(tpr·m)-th smallest OOD score: the exact mirror of `fpr`, which it equals when ID and
        OOD change places and signs. OpenOOD reports this quantity, at the first point of its ROC curve that detects
        95 % or more: with m not divisible by 20 its threshold is one OOD score higher, and collinear points of the
        curve, which scikit-learn drops, make it a little higher still.

        Raises
        ------
        ValueError
            There are so few OOD scores that none would be detected.
        """
        threshold = self.ood[rows_kept(tpr, self.ood.size, "OOD") - 1]
        return int(np.searchsorted(self.id, threshold, side="right")) / self.id.size

    @property
    def aupr_in(self) -> float:
        """Average precision with ID positive (not the trapezoid)."""
        hits = self.id.size - self.ranked.below
        alarms = self.ood.size - self._id_in_ood[0]
        return float(np.mean(hits / (hits + alarms)))

    @property
    def aupr_out(self) -> float:
        """Average precision with OOD positive, scores negated."""
        hits = _at_or_below(self.ood, self.ood)
        alarms = self._ood_in_id[1]
        return float(np.mean(hits / (hits + alarms)))

    @property
    def detection_accuracy(self) -> float:
        """Largest (TPR + TNR) / 2 over all thresholds, exact: half of Youden's J, plus a half.

        The best threshold is chosen on the rows that are judged, so this is an upper bound of what a detector reaches.
        """
        # between two ID scores a higher threshold loses no ID row, so the best one is an ID score
        kept, detected = 1 - self.ranked.below / self.id.size, self._id_in_ood[0] / self.ood.size
        return float((kept + detected).max() / 2)

    @property
    def autc(self) -> float:
        """Area under the threshold curve: mean of FPR and FNR (OOD positive) over all thresholds; lower is better.

        Thresholds are spread evenly over a range of scores, so a rule must fix the range. Here it is that of the ID
        test scores without the outermost 1 % at each end, scores beyond it clipped (`Ranking.scale` says why): no OOD
        row is needed for it, and values compare between OOD datasets and scores. With s' the scaled scores, 1 = OOD,
        the area is (mean of s' over ID + 1 - mean of s' over OOD) / 2. Invariant to shifts and positive factors of the
        scores, not to other monotone maps; a constant score has 0.5.

        References
        ----------
        Humblot-Renaux et al., CVPR 2023 (Beyond AUROC and co.), whose code expects scores in [0, 1] and scales nothing.
        """
        return (self.ranked.mean_scaled + 1 - float(self.ranked.scaled(self.ood).mean())) / 2

    @property
    def failure_auroc(self) -> float | None:
        """AUROC of correctly classified ID rows against everything else: misclassified ID rows and OOD rows.

        What counts is whether the prediction can be trusted, so it depends on the shares of ID and OOD rows. None where
        no ID row is known to be classified correctly.
        """
        correct = self.ranked.correct
        if correct is None or not correct.any():
            return None
        below, at_or_below = self._id_in_ood
        wins = self.ranked.wins_over_wrong + float((below + at_or_below)[correct].sum()) / 2
        trusted = float(np.count_nonzero(correct))
        return wins / (trusted * (self.id.size - trusted + self.ood.size))


def mean_auroc(comparisons: Sequence[Comparison]) -> Interval:
    """Return the mean AUROC over OOD datasets that share their ID rows, with a 95 % interval.

    The ID rows are the same for all: their components are averaged before their variance is taken, because leaving that
    out understates the error. Neither the choice of OOD datasets nor the model's training seed is covered.
    """
    first = comparisons[0]
    if any(c.id is not first.id for c in comparisons):
        raise ValueError("the comparisons must share one Ranking")
    value = float(np.mean([c.auroc for c in comparisons]))
    of_id = Sample.of(np.mean([c.id_components for c in comparisons], axis=0))
    return interval(value, [of_id, *(Sample.of(c.ood_components, 1 / len(comparisons)) for c in comparisons)])


def _flags(given: ArrayLike, size: int, what: str) -> NDArray[np.bool_]:
    return _one_each(np.asarray(given, dtype=np.bool_).ravel(), size, what)


def _one_each(given: NDArray[Kind], size: int, what: str) -> NDArray[Kind]:
    if given.size != size:
        raise ValueError(f"there are {size} ID scores, but {given.size} rows are {what}")
    return given


def _sorted(scores: ArrayLike, kind: str) -> Array:
    return _checked(np.sort(np.asarray(scores, dtype=np.float64).ravel()), kind)


def _checked(values: Array, kind: str) -> Array:
    if values.size == 0:
        raise ValueError(f"there are no {kind} scores")
    if np.isnan(values[-1]):  # NaN sorts last
        raise ValueError(f"NaN among the {kind} scores")
    return values


def rows_kept(share: float, size: int, kind: str) -> int:
    """Return how many of `size` rows a threshold keeps of `share`; `kind` is ID or OOD, for the message."""
    count = int(np.floor(share * size))
    if count < 1:
        raise ValueError(f"FPR at {100 * share:.0f} % TPR needs more than {size} {kind} rows")
    return count


def _below(sorted_values: Array, at: Array) -> Array:
    return np.searchsorted(sorted_values, at, side="left").astype(np.float64)


def _at_or_below(sorted_values: Array, at: Array) -> Array:
    return np.searchsorted(sorted_values, at, side="right").astype(np.float64)
