"""Plain definitions of scores by nearest rows: a coreset, mean-shifted rows, ranks, and a distance with a Gaussian."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import PowerTransformer, StandardScaler

from tests.parity.case import Case


def _unit(rows):
    return np.array([x / np.linalg.norm(x) for x in rows])


def _farthest_first(z, size):
    """Rows of z: the one farthest from all others together, and then always that farthest from all that were taken."""
    squares = np.array([((z - x) ** 2).sum(axis=1) for x in z])
    sums = squares.sum(axis=1)
    taken = [int(sums.argmax())]
    while len(taken) < size:
        near = squares[:, taken].min(axis=1)
        taken.append(int(np.where(near > near.max() - 1e-12 * sums.max() / len(z), sums, -1).argmax()))
    return taken


def knn_coreset(w, b, train, labels, rows, coreset):
    z = _unit(train)
    narrow = z
    if z.shape[1] > 128:
        draw = torch.Generator().manual_seed(0)
        narrow = z @ torch.randn(128, z.shape[1], generator=draw, dtype=torch.float64).numpy().T
    kept = z[_farthest_first(narrow, int(len(z) * coreset))]
    return np.array([1 - ((kept - x) ** 2).sum(axis=1).min() / 2 for x in _unit(rows)])


def mean_shifted(w, b, train, labels, rows):
    mean = _unit(train).mean(axis=0)
    bank = _unit(_unit(train) - mean)
    return np.array([np.sort(bank @ y)[-2:].mean() for y in _unit(_unit(rows) - mean)])


def _shares(rows):
    shares = [*np.linspace(0.001, 0.1, 100), *np.linspace(0.105, 0.5, 81), *np.linspace(0.51, 0.99, 49)]
    places = []
    for share in shares:
        place = int(share * rows - 1)
        if not places or place > places[-1][1]:
            places.append((share, place))
    return places


def cfood(w, b, train, labels, rows):
    z = _unit(train)
    squares = np.array([np.sort(((z - x) ** 2).sum(axis=1)) for x in z])
    alike = 5e-7 * ((z - z.mean(axis=0)) ** 2).sum(axis=1).max()
    scores = []
    for x in _unit(rows):
        ways = ((z - x) ** 2).sum(axis=1)
        reached = (f for f, place in _shares(len(z)) if (ways <= squares[:, place + 1] + alike).mean() >= 0.01)
        scores.append(-next(reached, 1.0))
    return np.array(scores)


def combood(w, b, train, labels, rows):
    z = _unit(train)
    varies = z.std(axis=0) > 1e-12
    scaler, power = StandardScaler().fit(z[:, varies]), PowerTransformer()
    t = power.fit_transform(scaler.transform(z[:, varies]))
    precision = np.linalg.inv(np.cov(t, rowvar=False) + np.eye(t.shape[1]))
    scores = []
    for x in _unit(rows):
        near = np.sort(((z - x) ** 2).sum(axis=1))[49]
        y = power.transform(scaler.transform(x[None, varies]))[0]
        scores.append(-np.sqrt(len(x)) * np.log(near) - y @ precision @ y)
    return np.array(scores)


CASES = {
    "knn_coreset": Case(knn_coreset, params={"coreset": 0.1}),
    "mean_shifted": Case(mean_shifted),
    # a rank that float32 puts on the other side of a bound moves a score by a step of 0.001 to 0.01
    "combood": Case(combood),
    "cfood": Case(cfood, tolerance=5e-2),
}
