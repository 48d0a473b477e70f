"""Selective classification: is a prediction that the score lets through right, with OOD rows about and without?

A row is accepted where its score is high. What must not be accepted is an ID row that the classifier is wrong about
and, under selective classification with OOD data (SCOD), every OOD row. ID and OOD rows then weigh the same together,
one half each, however many there are of either: the numbers of OOD datasets of 300 and of 30,000 images compare, and
nothing changes when every row of one side is taken twice.

Rows with equal scores are accepted together, each share of them with the error rate of all: between two thresholds
curves are what random orders of equal rows give in the mean, and areas are exact integrals, without a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from moodbench.ranking import Comparison, Failures, Ranking

Array = NDArray[np.float64]
Value = TypeVar("Value")

BINS = 15
"""Of the calibration error."""


@dataclass(frozen=True)
class Curve:
    """Share of all weight that is accepted, and the part of it that should not be, at every threshold that matters.

    Attributes
    ----------
    coverage : (K + 1,) float64
        From 0 to 1, strictly rising: after the highest score, the next, … after all rows.
    errors : (K + 1,) float64
        Weight of accepted rows that are errors; from 0 to the error rate of everything.
    """

    coverage: Array
    errors: Array

    @cached_property
    def area_under_risk(self) -> float:
        """AURC: the integral of errors / coverage over the coverage.

        Between two thresholds errors are linear in the coverage, so each piece has a closed form.
        """
        width, before = np.diff(self.coverage), self.coverage[:-1]
        rate = np.diff(self.errors) / width
        pieces = rate * width
        # before the first threshold the risk is that of the first rows, whatever their share
        later = slice(1, None)
        over = self.errors[:-1][later] - rate[later] * before[later]
        pieces[later] += over * np.log1p(width[later] / before[later])
        return float(np.clip(pieces.sum(), 0, 1))

    @cached_property
    def area_under_generalized_risk(self) -> float:
        """AUGRC: the integral of errors over the coverage, at most a half; a trapezoid is exact."""
        return float(np.diff(self.coverage) @ (self.errors[:-1] + self.errors[1:]) / 2)


def id_curve(failures: Failures) -> Curve:
    """Return the curve of the ID rows alone, each of weight 1 / n."""
    scores = failures.sorted[::-1]
    last = _last_of_equals(scores)
    wrong = np.cumsum(~failures.correct[::-1])[last]
    return Curve(np.r_[0.0, (last + 1) / len(scores)], np.r_[0.0, wrong / len(scores)])


def joint_curve(failures: Failures, ood: Array) -> Curve:
    """Return the curve of ID and OOD rows, of weight 1 / (2 n) and 1 / (2 m); all OOD rows are errors.

    Parameters
    ----------
    failures : Failures
        n ID rows.
    ood : (m,) float64, sorted
    """
    n, m = len(failures.sorted), len(ood)
    scores = np.concatenate([failures.sorted, ood])
    order = np.argsort(scores, kind="stable")[::-1]  # two sorted runs are merged in linear time
    last = _last_of_equals(scores[order])
    outside = np.cumsum(order >= n)[last].astype(np.float64)
    wrong = np.cumsum(np.concatenate([~failures.correct, np.zeros(m, np.bool_)])[order])[last]
    inside = last + 1 - outside
    coverage = (inside / n + outside / m) / 2
    errors = (wrong / n + outside / m) / 2
    return Curve(np.r_[0.0, coverage], np.r_[0.0, errors])


def augrc(ranked: Ranking) -> float | None:
    """Return the area under the generalized risk-coverage curve of the ID rows; None without labels.

    P(wrong, and accepted) averaged over coverages: unlike the AURC it does not count errors among the most confident
    rows many times over. With e the error rate it is e (1 - e) (1 - AUROC of right against wrong rows) + e² / 2.

    References
    ----------
    Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification Systems, NeurIPS 2024
    (arXiv 2407.01032).
    """
    failures = ranked.failures
    return None if failures is None else _once(ranked, "augrc", lambda: id_curve(failures).area_under_generalized_risk)


def joint(comparison: Comparison) -> Curve | None:
    """Return the curve of ID and OOD rows together; None without labels.

    References
    ----------
    Xia and Bouganis, Augmenting Softmax Information for Selective Classification with Out-of-Distribution Data, ACCV
    2022: their risk with equal costs, and ID and OOD of equal weight. Jaeger et al., A Call to Reflect on
    Evaluation Practices for Failure Detection, ICLR 2023, take rows as they are counted instead.
    """
    failures = comparison.ranked.failures
    return None if failures is None else _once(comparison, "joint", lambda: joint_curve(failures, comparison.ood))


def oscr(comparison: Comparison) -> float | None:
    """Return the area under the open-set classification rate curve; None without labels.

    The curve is the share of ID rows that are accepted and classified correctly over the share of OOD rows that are
    accepted; the area is P(an ID row is classified correctly and its score is above that of an OOD row), ties counting
    half. It is at most the ID accuracy.

    References
    ----------
    Dhamija, Günther and Boult, Reducing Network Agnostophobia, NeurIPS 2018: the curve, there over
    softmax values; Vaze et al., Open-Set Recognition: A Good Closed-Set Classifier is All You Need?, ICLR 2022: its
    area, over any score.
    """
    correct = comparison.ranked.correct
    return None if correct is None else float(comparison.id_components[correct].sum() / len(correct))


def ece(ranked: Ranking) -> float | None:
    """Return the calibration error of the classifier; None without labels or probabilities."""
    known = ranked.predictions
    return None if known is None else _once(ranked, "ece", lambda: calibration_error(*known))


def calibration_error(confidence: Array, correct: NDArray[np.bool_]) -> float:
    """Return the expected calibration error (ECE) of the classifier; it is the same for all scores.

    Parameters
    ----------
    confidence : (n,) float64
        Softmax probability of the predicted class.
    correct : (n,) bool

    Notes
    -----
    Rows fall into 15 bins of equal width, each with its upper edge. In each bin, the mean confidence is held against
    the accuracy; differences are averaged by number of rows.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    places = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence, side="left")
    gaps = np.bincount(places, weights=confidence - correct, minlength=BINS)
    return float(np.clip(np.abs(gaps).sum() / len(correct), 0, 1))


def _once(of: Comparison | Ranking, name: str, compute: Callable[[], Value]) -> Value:
    """Compute what several metrics, or several OOD datasets, share; it is kept with what it is about."""
    kept = vars(of)
    if name not in kept:
        kept[name] = compute()
    value: Value = kept[name]
    return value


def _last_of_equals(scores: Array) -> NDArray[np.intp]:
    """Return the place of the last of each run of equal values."""
    changes: NDArray[np.intp] = np.flatnonzero(scores[1:] != scores[:-1])
    return np.append(changes, len(scores) - 1)
