"""Every metric: its name, how it is computed from a `Comparison`, and how it is read.

Adding one means an entry of `METRICS`, a function of what a `Comparison` holds, and a column of `Result`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from moodbench.paired import Difference, Measured, Sample, difference, measure
from moodbench.ranking import Comparison, Ranking
from moodbench.score_arrays import as_right, as_scores, as_shares
from moodbench.selective import augrc, ece, joint, oscr

Better = Literal["higher", "lower"]

LABELS = "needs ID test rows with labels of the model's classes"
"""Why a metric that asks what the classifier gets right may have no value."""


@dataclass(frozen=True)
class Metric:
    """What tables and plots must know about a metric.

    Attributes
    ----------
    label : str
    better : {"higher", "lower"}
    worst : float
        No value is worse.
    of : callable
        Its value for a comparison, None where it is not defined.
    convention : str
        What a reader must know of the definition; tables that show the metric say it, results keep it.
    needs : str
        Why there may be no value though the scores are there.
    """

    label: str
    better: Better
    worst: float
    of: Callable[[Comparison], float | None]
    convention: str = ""
    needs: str = ""

    @property
    def heading(self) -> str:
        """The label with an arrow to the better side."""
        return f"{self.label} {'↑' if self.better == 'higher' else '↓'}"


METRICS: Mapping[str, Metric] = {
    "auroc": Metric("AUROC", "higher", 0.0, lambda c: c.auroc),
    "fpr95": Metric(
        "FPR95",
        "lower",
        1.0,
        lambda c: c.fpr(),
        "share of OOD at or above the floor(0.95 n)-th largest of n ID scores (ID is positive)",
    ),
    "aupr_in": Metric("AUPR-IN", "higher", 0.0, lambda c: c.aupr_in, "average precision with ID as positive"),
    "aupr_out": Metric("AUPR-OUT", "higher", 0.0, lambda c: c.aupr_out, "average precision with OOD as positive"),
    "fpr95_ood": Metric(
        "FPR95-OOD",
        "lower",
        1.0,
        lambda c: c.fpr_ood() if c.ood.size > 1 else None,
        "share of ID at or below the floor(0.95 m)-th smallest of m OOD scores (OOD is positive, as in OpenOOD)",
        "needs two OOD rows",
    ),
    "detection_accuracy": Metric(
        "Detection accuracy",
        "higher",
        0.5,
        lambda c: c.detection_accuracy,
        "(TPR + TNR) / 2 at the best threshold for these very rows, an upper bound",
    ),
    "autc": Metric(
        "AUTC",
        "lower",
        1.0,
        lambda c: c.autc,
        "thresholds spread evenly over the range of the ID test scores without the outermost 1 % at each end,"
        " scores beyond it clipped",
    ),
    "aurc": Metric(
        "AURC",
        "lower",
        1.0,
        lambda c: c.ranked.aurc,
        "share of misclassified rows among the top k ID test rows, mean over k; the same for every OOD dataset",
        LABELS,
    ),
    "failure_auroc": Metric(
        "Failure AUROC",
        "higher",
        0.0,
        lambda c: c.failure_auroc,
        "correctly classified ID rows against misclassified ID rows and OOD rows",
        "needs ID test rows that are known to be classified correctly",
    ),
    "augrc": Metric(
        "AUGRC",
        "lower",
        0.5,
        lambda c: augrc(c.ranked),
        "share of ID test rows accepted and misclassified, mean over coverages; the same for every OOD dataset",
        LABELS,
    ),
    "aurra": Metric(
        "AURRA",
        "higher",
        0.0,
        lambda c: None if c.ranked.aurc is None else 1 - c.ranked.aurc,
        "accuracy of the top k ID test rows, mean over k (response rates): 1 - AURC",
        LABELS,
    ),
    "ece": Metric(
        "ECE",
        "lower",
        1.0,
        lambda c: ece(c.ranked),
        "calibration error of the largest softmax on ID test, 15 bins of equal width; the same for every score",
        LABELS,
    ),
    "oscr": Metric(
        "OSCR",
        "higher",
        0.0,
        oscr,
        "area under the share of ID rows accepted and classified correctly over the share of OOD rows accepted",
        LABELS,
    ),
    "scod_aurc": Metric(
        "SCOD-AURC",
        "lower",
        1.0,
        lambda c: None if (curve := joint(c)) is None else curve.area_under_risk,
        "share of misclassified and OOD rows among those accepted, mean over coverages; ID and OOD weigh the same",
        LABELS,
    ),
    "scod_augrc": Metric(
        "SCOD-AUGRC",
        "lower",
        0.5,
        lambda c: None if (curve := joint(c)) is None else curve.area_under_generalized_risk,
        "share of rows accepted though misclassified or OOD, mean over coverages; ID and OOD weigh the same",
        LABELS,
    ),
}
"""Every metric, in the order of the columns of `Result`."""


def evaluate(
    id_scores: ArrayLike,
    ood_scores: ArrayLike,
    *,
    correct: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
) -> dict[str, float | None]:
    """Return every metric of scores of ID and OOD rows, with the 95 % interval of the AUROC.

    Parameters
    ----------
    id_scores : (n,)
        Of at least two ID rows; higher = more in-distribution.
    ood_scores : (m,)
        Of at least one OOD row.
    correct : (n,) bool, optional
        Whether the classifier is right about each ID row; without it, metrics that ask for that are None.
    confidence : (n,) float, optional
        Softmax probability of the predicted class of each ID row, for ``ece``, which needs `correct` too.

    Returns
    -------
    dict
        Shares between 0 and 1 by their names in `METRICS`, with ``auroc_low`` and ``auroc_high`` (DeLong's variance,
        inverted as Wilson does) behind ``auroc``.

    Raises
    ------
    ValueError
        Scores are empty (or one ID row alone), or an array has another shape or holds NaN, text or complex numbers;
        `correct` holds more than True and False, or `confidence` what is no probability. The message names the
        argument.

    Examples
    --------
    >>> found = evaluate([3, 2, 1.5], [1, 2])
    >>> round(found["auroc"], 4), found["aurc"]
    (0.75, None)
    """
    ids, oods = as_scores(id_scores, "id_scores", least=2), as_scores(ood_scores, "ood_scores")
    right = None if correct is None else as_right(correct, len(ids))
    sure = None if confidence is None else as_shares(confidence, len(ids))
    comparison = Ranking(ids, right, confidence=sure).against(oods)
    interval = comparison.auroc_interval()
    values = {name: metric.of(comparison) for name, metric in METRICS.items()}
    limits = {"auroc_low": interval.low, "auroc_high": interval.high}
    return {"auroc": values.pop("auroc"), **limits, **values}


def auroc_difference(
    id_scores: ArrayLike, ood_scores: ArrayLike, other_id_scores: ArrayLike, other_ood_scores: ArrayLike
) -> Difference:
    """Return by how much the AUROC of one score is above that of another on the same images, with DeLong's paired test.

    Parameters
    ----------
    id_scores : (n,)
        Of one score on ID rows, higher = more in-distribution.
    ood_scores : (m,)
        Of the same score on OOD rows.
    other_id_scores : (n,)
        Of the other score, on the same ID rows in the same order.
    other_ood_scores : (m,)
        Of the other score, on the same OOD rows in the same order.

    Returns
    -------
    Difference
        ``value``, ``low`` and ``high`` (95 %), and the two-sided ``p``.

    Raises
    ------
    ValueError
        The two are of other numbers of images, or scores are refused as by `evaluate`.

    Examples
    --------
    >>> same = auroc_difference([3, 2], [1, 2], [6, 4], [2, 4])
    >>> same.value, same.p
    (0.0, 1.0)
    """
    given = {"id_scores": id_scores, "ood_scores": ood_scores}
    given |= {"other_id_scores": other_id_scores, "other_ood_scores": other_ood_scores}
    arrays = [as_scores(one, name) for name, one in given.items()]
    n, m = len(arrays[0]), len(arrays[1])
    if (len(arrays[2]), len(arrays[3])) != (n, m):
        raise ValueError(f"scores of {n} and {m} images against those of {len(arrays[2])} and {len(arrays[3])}")

    def of(ids: np.ndarray[Any, Any], oods: np.ndarray[Any, Any]) -> Measured:
        return measure([Sample(ids, np.arange(n))], [Sample(oods, np.arange(n, n + m))], n + m)

    return difference(of(arrays[0], arrays[1]), of(arrays[2], arrays[3]))
