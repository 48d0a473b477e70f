"""Scores that compare rows with texts, as their papers state them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax

from tests.parity.case import Case
from tests.texts import texts_of
from tests.views import numbers_of

# Negatives are shuffled by torch's generator; the order is part of the definition, as a seed is.
GROUPS = 5


def cosines(w, x):
    return np.array([x @ v / np.linalg.norm(x) / np.linalg.norm(v) for v in w])


def mcm(w, b, train, labels, rows, temperature=1.0):
    return np.array([softmax(cosines(w, x) / temperature).max() for x in rows])


def gl_mcm(w, b, train, labels, rows, weight=0.5):
    local = numbers_of(rows.astype(np.float32))["gl_mcm-1"].astype(np.float64)
    return mcm(w, b, train, labels, rows) + weight * local[:, 0]


def neglabel(w, b, train, labels, rows, temperature=0.01, groups=GROUPS):
    negatives = texts_of(w.astype(np.float32))["negatives"].astype(np.float64)
    kept = negatives[: len(negatives) - len(negatives) % groups]
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(0)).numpy()
    scores = []
    for x in rows:
        positive = logsumexp(cosines(w, x) / temperature)
        parts = np.split(cosines(kept[order], x) / temperature, groups)
        scores.append(np.mean([np.exp(positive - np.logaddexp(positive, logsumexp(part))) for part in parts]))
    return np.array(scores)


def negated(w):
    return texts_of(w.astype(np.float32))["negated"].astype(np.float64)


def clipn(w, b, train, labels, rows):
    """The probability of an unknown class in log space: of confident rows the plain one rounds."""
    terms = [log_softmax(w @ x + b) + log_expit(negated(w) @ x - w @ x - b) for x in rows]
    return -np.array([logsumexp(one) for one in terms])


def clipn_ctw(w, b, train, labels, rows):
    return np.array([expit(w @ x + b - negated(w) @ x)[np.argmax(w @ x + b)] for x in rows])


CASES = {
    "mcm": Case(mcm),
    "gl_mcm": Case(gl_mcm, params={"weight": 0.5}),
    "neglabel": Case(neglabel, params={"groups": GROUPS}),
    "clipn": Case(clipn),
    "clipn_ctw": Case(clipn_ctw),
}
