"""Plain definitions of scores that read several layers."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Case
from tests.views import layers_of


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


CASES = {
    "maha_layers": Case(maha_layers),
    "knn_layers": Case(knn_layers, params={"k": 7}),
}
