"""Plain definitions of scores by gradients at prototypes."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Case


def grood(w, b, train, labels, rows):
    means = np.array([train[labels == k].mean(axis=0) for k in np.unique(labels)])
    prototype = means.mean(axis=0)

    def gradient(x):
        distances = [np.sqrt(((x - p) ** 2).sum()) for p in [*means, prototype]]
        terms = np.exp(min(distances) - np.array(distances))
        return terms[-1] / terms.sum() * (x - prototype) / distances[-1]

    right = [(w @ x + b).argmax() == y for x, y in zip(train, labels, strict=True)]
    bank = np.array([gradient(x) for x in train[right]])
    return np.array([-((bank - gradient(x)) ** 2).sum(axis=1).min() for x in rows])


CASES = {"grood": Case(grood)}
