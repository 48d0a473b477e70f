"""Scores that compare rows with texts, as their papers state them."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from tests.parity.case import Case


def cosines(w, x):
    return np.array([x @ v / np.linalg.norm(x) / np.linalg.norm(v) for v in w])


def mcm(w, b, train, labels, rows, temperature=1.0):
    return np.array([softmax(cosines(w, x) / temperature).max() for x in rows])


CASES = {"mcm": Case(mcm)}
