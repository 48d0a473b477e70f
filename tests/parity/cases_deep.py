"""Plain definitions of scores that read several layers."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from tests.parity.case import Case
from tests.views import STATES, layers_of, numbers_of


def layers_of_rows(rows):
    return [layer.astype(np.float64) for layer in layers_of(rows.astype(np.float32)).values()]


def maha_layers(w, b, train, labels, rows):
    total = np.zeros(len(rows))
    for known, found in zip(layers_of_rows(train), layers_of_rows(rows), strict=True):
        classes = np.unique(labels)
        means = {k: known[labels == k].mean(axis=0) for k in classes}
        centred = known - np.stack([means[k] for k in labels])
        inverse = np.linalg.pinv(centred.T @ centred / len(known), rcond=1e-10, hermitian=True)
        for i, x in enumerate(found):
            total[i] -= min((x - means[k]) @ inverse @ (x - means[k]) for k in classes)
    return total


def knn_layers(w, b, train, labels, rows, k):
    bank, found = layers_of_rows(train), layers_of_rows(rows)
    scores = []
    for i in range(len(rows)):
        cosines = np.zeros(len(train))
        for known, layer in zip(bank, found, strict=True):
            x = layer[i] / np.linalg.norm(layer[i])
            cosines += np.array([y @ x / np.linalg.norm(y) for y in known]) / len(bank)
        scores.append(np.sort(cosines)[::-1][k - 1])
    return np.array(scores)


def nac(w, b, train, labels, rows, steepness, points, share, each):
    def edges(m):
        lower = np.log(np.linspace(1, np.sqrt(1000), m // 2)) / np.log(1000)
        return np.concatenate([lower[:-1], (1 - lower)[::-1]])[1:-1]

    def states_of_last(x):
        logits = x @ w.T + b
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return x * ((p / p.sum(axis=1, keepdims=True) - 1 / len(b)) @ w)

    signed = (train < 0).mean() >= 0.005
    layers = [(states_of_last(train), states_of_last(rows), 100.0 if signed else 3000.0, 50, 0.01 * len(train))]
    ours = {"nac-layer3": (3.0, 50, 0.02)}
    for name in STATES:
        one = ours.get(name, (steepness, points, share))
        known, found = (numbers_of(x.astype(np.float32))[name].astype(np.float64) for x in (train, rows))
        layers.append((known, found, one[0], one[1], max(one[2] * len(train), 1)))
    scores = np.zeros(len(rows))
    for known, found, alpha, m, full in layers:
        bounds = edges(m)
        bank, its = (np.searchsorted(bounds, expit(alpha * x), side="right") for x in (known, found))
        for i in range(len(rows)):
            counts = (bank == its[i]).sum(axis=0)
            scores[i] += np.minimum(counts / full, 1).mean() / len(layers)
    return scores


def blood(w, b, train, labels, rows):
    return np.array([-np.mean(squares) for squares in numbers_of(rows.astype(np.float32))["blood-10"]])


CASES = {
    "maha_layers": Case(maha_layers),
    "knn_layers": Case(knn_layers, params={"k": 7}),
    "nac": Case(
        nac,
        # a state may lie on the other side of an interval's bound: 1 / 1000 of a neuron's coverage and more
        tolerance=5e-2,
        params={"steepness": 2.0, "points": 100, "share": 0.05, "each": "layer3=3/50/0.02"},
    ),
    "blood": Case(blood),
}
