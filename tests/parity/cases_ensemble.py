"""Plain definitions of scores over the members of an ensemble."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from tests.parity.case import Case
from tests.views import runs_of


def members(w, b, rows):
    """The probabilities of each member for every row: the model itself and two other runs, with the same head."""
    others = [values.astype(np.float64) for values in runs_of(rows.astype(np.float32)).values()]
    for some in zip(rows, *others, strict=True):
        yield np.stack([softmax(w @ x + b) for x in some])


def ensemble(w, b, train, labels, rows):
    return np.array([p.mean(axis=0).max() for p in members(w, b, rows)])


def divergence(p, q):
    return sum(a * np.log(a / c) for a, c in zip(p, q, strict=True) if a > 0)


def ensemble_mi(w, b, train, labels, rows):
    """As the paper states it, by divergences from the mean."""
    return np.array([-np.mean([divergence(one, p.mean(axis=0)) for one in p]) for p in members(w, b, rows)])


CASES = {
    "ensemble": Case(ensemble),
    "ensemble_mi": Case(ensemble_mi, tolerance=5e-4),  # numbers of 1e-4 out of logits that are float32
}
