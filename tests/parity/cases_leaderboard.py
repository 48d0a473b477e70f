"""Plain definitions of scores of recent papers, most of them on OpenOOD's leaderboard or in its pull requests."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from tests.parity.case import Case


def ras(w, b, train, labels, rows):
    profile = np.mean([np.sort(x) for x in train], axis=0)
    scores = []
    for x in rows:
        shifted = np.empty(len(x))
        shifted[np.argsort(x, kind="stable")] = profile
        scores.append(logsumexp(w @ shifted + b))
    return np.array(scores)


def _angle(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return 0.0 if lengths == 0 else np.arccos(np.clip(a @ b / lengths, -1, 1)) / np.pi


def ora(w, b, train, labels, rows, aggregation="max"):
    centre = np.mean([train[labels == k].mean(axis=0) for k in np.unique(labels)], axis=0)
    scores = []
    for x in rows:
        logits = w @ x + b
        c = int(np.argmax(logits))
        angles = []
        for k in range(len(b)):
            d = w[c] - w[k]
            on_boundary = x - (logits[c] - logits[k]) / (d @ d) * d if k != c else x
            angles.append(_angle(x - centre, on_boundary - centre))
        others = [angle for k, angle in enumerate(angles) if k != c]
        scores.append({"max": max(angles), "mean": np.mean(angles), "min": min(others)}[aggregation])
    return np.array(scores)


def logitgap(w, b, train, labels, rows, top):
    scores = []
    for x in rows:
        logits = np.sort(w @ x + b)[::-1]
        scores.append(np.mean([logits[0] - other for other in logits[1 : top + 1]]))
    return np.array(scores)


CASES = {
    "ras": Case(ras),
    "ora": Case(ora),
    "logitgap": Case(logitgap, params={"top": 7}),
}
