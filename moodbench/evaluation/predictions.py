"""What the classifier says of the ID test rows, against their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodbench.sizes import percent

GAIN = 0.15
"""Share of rows that another order of the classes must explain on top, before anybody is told."""

MOST_CELLS = 25_000_000
"""Of a table of labels against predictions: 5,000 classes take two seconds."""

TWO_CLASSES = 1.5
"""Over the root of the rows: three standard deviations of the accuracy by chance with two classes, which is a half."""


@dataclass(frozen=True)
class Predictions:
    """Labels and predicted classes of N rows, (N,) int64 each, in one numbering; and how sure the classifier is.

    `confidence` is the softmax probability of the predicted class, (N,) float64, where it is asked for.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64] | None = None

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the predicted class is the label."""
        right: NDArray[np.bool_] = self.labels == self.predicted
        return right

    @property
    def accuracy(self) -> float:
        """Share of rows that are classified as their label says."""
        return float(self.correct.mean())

    def best_order(self) -> float:
        """Return the accuracy under the order of the labels that explains the predictions best.

        Each half of the rows of a class is measured under the order that is best for the other half: among many classes
        with few rows, some order explains even random predictions of the rows that it was chosen by.
        """
        by_class = np.argsort(self.labels, kind="stable")
        halves = [Predictions(self.labels[by_class[i::2]], self.predicted[by_class[i::2]]) for i in (0, 1)]
        hits = sum(one._hits_under(other._best()) for one, other in (halves, halves[::-1]))
        return hits / len(self.labels)

    def remark(self) -> str | None:
        """Return what to say where another order of the labels explains the predictions far better than theirs."""
        found, guessed = len(np.unique(self.labels)), len(np.unique(self.predicted))
        if found < 2 or len(self.labels) < 4 or found * guessed > MOST_CELLS or self.accuracy > 1 - GAIN:
            return None
        best = self.best_order()
        if best < self.accuracy + GAIN or best < 1.5 * self.accuracy:
            return None
        if found == 2 and best < 0.5 + TWO_CLASSES / np.sqrt(len(self.labels)):  # there is but one other order
            return None
        return (
            "another order of the classes explains the predictions far better: ID accuracy "
            f"{percent(self.accuracy)} with the labels as they are, {percent(best)} under the best order"
        )

    def _best(self) -> dict[int, int]:
        """Return label → predicted class, one to one, such that most rows agree."""
        from scipy.optimize import linear_sum_assignment

        labels, row = np.unique(self.labels, return_inverse=True)
        classes, column = np.unique(self.predicted, return_inverse=True)
        counts = np.zeros((len(labels), len(classes)), np.int64)
        np.add.at(counts, (row, column), 1)
        chosen = zip(*linear_sum_assignment(counts, maximize=True), strict=True)
        return {int(labels[i]): int(classes[j]) for i, j in chosen if counts[i, j]}

    def _hits_under(self, order: dict[int, int]) -> int:
        wanted = np.array([order.get(label, -1) for label in self.labels.tolist()], np.int64)
        return int((wanted == self.predicted).sum())
