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


def excel(w, b, train, labels, rows, alpha=0.8, upper=5, reward=10):
    classes = len(b)
    orders = [np.argsort(-(w @ x + b), kind="stable") for x in train]
    scores = []
    for x in rows:
        order = np.argsort(-(w @ x + b), kind="stable")
        alike = [other for other in orders if other[0] == order[0]]
        total = 0
        for j in range(1, classes):
            count = sum(other[j] == order[j] for other in alike)
            if count * classes > upper * len(alike):
                total += reward
            elif count * classes > len(alike):
                total += 1
            else:
                total -= 1 if count > 0 else reward
        scores.append((1 - alpha) * (w @ x + b).max() + alpha * total / classes)
    return np.array(scores)


def actsub(w, b, train, labels, rows):
    _, values, vectors = np.linalg.svd(w, full_matrices=False)
    vectors = vectors[values > 1e-6 * values[0]]

    most = min(len(vectors), len(train[0]) - 1)

    def parts(x, n):
        inside = sum((x @ v) * v for v in vectors[:n])
        return inside, x - inside

    def lengths(x):
        along = vectors[:most] @ x
        return [(np.linalg.norm(along[:n]), np.sqrt(x @ x - along[:n] @ along[:n])) for n in range(1, most + 1)]

    inside, outside = np.mean([lengths(x) for x in train], axis=0).T
    n = 1 + np.argmin(np.abs(inside - outside))
    bank = _unit([parts(x, n)[1] for x in train])
    scores = []
    for x in rows:
        inside, outside = parts(x, n)
        kept = len(x) - round(len(x) * 0.95)
        ratio = inside.sum() / np.sort(inside)[-max(1, kept) :].sum()
        energy = logsumexp(np.exp(min(ratio, 80)) * (w @ inside) + b)
        cosine = np.mean(np.sort(bank @ _unit([outside])[0])[-10:])
        scores.append(energy * max(0, -np.log(max(1 - cosine, 2.0**-24))) ** 2)
    return np.array(scores)


def _unit(rows):
    return np.array([x / np.linalg.norm(x) for x in rows])


CASES = {
    "ras": Case(ras),
    "ora": Case(ora),
    "weiper": Case(weiper, params={"repeats": 5, "distance": 1.8}),
    # a number that float32 puts on the other side of a bound moves 1/D of a row's histogram by one part
    "weiper_kld": Case(weiper_kld, tolerance=5e-4, params={"repeats": 20, "distance": 2.2}),
    "excel": Case(excel),
    "actsub": Case(actsub),
    "logitgap": Case(logitgap, params={"top": 7}),
}
