"""Plain definitions of scores of recent papers, most of them on OpenOOD's leaderboard or in its pull requests."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import logsumexp, softmax

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


def _perturbed(w, repeats, distance):
    draw = torch.Generator().manual_seed(0)
    for _ in range(repeats):
        noise = torch.randn(*w.shape, generator=draw, dtype=torch.float64).numpy()
        yield np.array(
            [v + distance * np.linalg.norm(v) * n / np.linalg.norm(n) for v, n in zip(w, noise, strict=True)]
        )


def weiper(w, b, train, labels, rows, repeats, distance):
    heads = list(_perturbed(w, repeats, distance))
    # 1 less what the other classes have, which 1 would round away where it is added first
    return np.array([1 - np.mean([np.sort(softmax(h @ x + b))[:-1].sum() for h in heads]) for x in rows])


def _smoothed(shares, width):
    before = (width - 1) // 2
    padded = np.pad(shares, (before, width - 1 - before), mode="edge")
    return np.array([padded[i : i + width].mean() for i in range(len(shares))])


def _histogram(numbers, ends):
    return np.histogram(numbers, bins=100, range=ends)[0] / len(numbers)


def weiper_kld(w, b, train, labels, rows, repeats, distance):
    heads = list(_perturbed(w, repeats, distance))

    def divergences(numbers, width, floor):
        ends = min(n.min() for n in map(numbers, train)), max(n.max() for n in map(numbers, train))
        p = np.mean([_histogram(numbers(x), ends) for x in train], axis=0) + floor
        p /= p.sum()
        found = []
        for x in rows:
            q = _smoothed(_histogram(numbers(x), ends), width) + floor
            q /= q.sum()
            found.append(sum(p * np.log(p / q)) + sum(q * np.log(q / p)))
        return np.array(found)

    plain = divergences(lambda x: x, 4, 0.01)
    perturbed = divergences(lambda x: np.concatenate([h @ x + b for h in heads]), 15, 0.025)
    return -(plain + 2.5 * perturbed - 0.1 * weiper(w, b, train, labels, rows, repeats, distance))


CASES = {
    "ras": Case(ras),
    "ora": Case(ora),
    "weiper": Case(weiper, params={"repeats": 5, "distance": 1.8}),
    # a number that float32 puts on the other side of a bound moves 1/D of a row's histogram by one part
    "weiper_kld": Case(weiper_kld, tolerance=5e-4, params={"repeats": 20, "distance": 2.2}),
    "logitgap": Case(logitgap, params={"top": 7}),
}
