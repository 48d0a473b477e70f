"""Plain definitions of scores of gradients that have a closed form."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Case


def gradpca(w, b, train, labels, rows):
    classes = [train[labels == k].mean(axis=0) for k in np.unique(labels)]

    def gradient(x):
        """Of the sum of all logits with respect to weight and bias."""
        return np.concatenate([np.outer(np.ones(len(w)), x).ravel(), np.ones(len(w))])

    means = np.stack([gradient(mean) for mean in classes])
    centre = means.mean(axis=0)
    _, sizes, directions = np.linalg.svd(means - centre, full_matrices=False)
    explained = np.cumsum(sizes**2) / np.sum(sizes**2)
    kept = directions[: min(int(np.sum(explained < 0.99)) + 1, len(classes) - 1)]
    found = []
    for x in rows:
        moved = gradient(x) - centre
        found.append(np.sum((kept @ moved) ** 2) / np.sum(moved**2))
    return np.array(found)


CASES = {"gradpca": Case(gradpca)}
