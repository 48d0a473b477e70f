"""Plain definitions of projection depth, k-means and the generic outlier detectors.

What scikit-learn learns is taken from it, on the rows in the order of moodbench's sample; what is then made of it for a
row is written out.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from tests.parity.case import Case
from tests.parity.cases_distance import _total, _unit


def rpd(w, b, train, labels, rows, directions):
    mean, total = _total(train)
    values, vectors = np.linalg.eigh(total)
    kept = values > 1e-10 * values.max()
    axes = vectors[:, kept]
    whiten = axes @ np.diag(values[kept] ** -0.5) @ axes.T
    normal = torch.randn(directions, len(mean), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    depths = []
    bank, rows = (train - mean) @ whiten, (rows - mean) @ whiten
    for u in normal.numpy() @ axes @ axes.T:
        along = bank @ u / np.linalg.norm(u)
        median = np.median(along)
        deviation = np.median(np.abs(along - median))
        depths.append(np.abs(rows @ u / np.linalg.norm(u) - median) / deviation)
    return 1 / (1 + np.max(depths, axis=0))


def _sample_order(train):
    """Sort rows by the pseudo-random number that moodbench makes of their bits."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(-(1 << 31), 1 << 31, (train.shape[1],), generator=generator).int().numpy() | 1
    numbers = []
    for x in train.astype(np.float32):
        mixed = sum(_signed(int(v) * int(w), 32) for v, w in zip(x.view(np.int32), weights, strict=True)) % 2**64
        for factor in (0x2545F4914F6CDD1D, 0x61C8864680B583EB):
            mixed = (mixed ^ (mixed >> 31)) * factor % 2**64
        numbers.append(_signed(mixed ^ (mixed >> 31), 64))
    return np.argsort(numbers, kind="stable")


def _signed(number, bits):
    return (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def kmeans(w, b, train, labels, rows, clusters):
    bank = _unit(train)[_sample_order(train)]
    with threadpool_limits(1):
        centres = KMeans(clusters, n_init=1, random_state=0).fit(bank).cluster_centers_
    return np.array([-min(np.linalg.norm(z - c) for c in centres) for z in _unit(rows)])


def lof(w, b, train, labels, rows, k):
    def nearest(x, others):
        distances = np.linalg.norm(others - x, axis=1)
        order = np.argsort(distances)[:k]
        return order, distances[order]

    around = [nearest(x, np.delete(train, i, axis=0)) for i, x in enumerate(train)]
    # numbers of rows after the one that was left out
    neighbours = [(order + (order >= i), distances) for i, (order, distances) in enumerate(around)]
    reach = np.array([distances[-1] for _, distances in neighbours])

    def density(order, distances):
        return 1 / np.mean(np.maximum(reach[order], distances))

    densities = np.array([density(*pair) for pair in neighbours])
    found = [nearest(x, train) for x in rows]
    return np.array([-np.mean(densities[order]) / density(order, distances) for order, distances in found])


def iforest(w, b, train, labels, rows, trees):
    bank = train[_sample_order(train)].astype(np.float32)
    forest = IsolationForest(n_estimators=trees, random_state=0).fit(bank)

    def expected(n):
        return 0 if n < 2 else 1 if n == 2 else 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n

    def depth(tree, x):
        node, length = 0, 0
        while tree.children_left[node] >= 0:
            below = np.float32(x[tree.feature[node]]) <= tree.threshold[node]
            node, length = (tree.children_left if below else tree.children_right)[node], length + 1
        return length + expected(tree.n_node_samples[node])

    depths = [[depth(e.tree_, x) for e in forest.estimators_] for x in rows]
    return np.array([-(2 ** (-np.mean(d) / expected(256))) for d in depths])


def ocsvm(w, b, train, labels, rows):
    mean, std = train.mean(axis=0), train.std(axis=0)
    std[std == 0] = 1  # constant features are moved only
    svm = OneClassSVM(gamma=1 / train.shape[1]).fit(((train - mean) / std)[_sample_order(train)])
    scores = []
    for x in (rows - mean) / std:
        kernel = [np.exp(-((x - v) ** 2).sum() / len(x)) for v in svm.support_vectors_]
        scores.append(np.dot(svm.dual_coef_[0], kernel))
    return np.array(scores)


CASES = {
    "kmeans": Case(kmeans, params={"clusters": 8}),
    "rpd": Case(rpd, params={"directions": 100}),
    "lof": Case(lof, params={"k": 10}, worlds=("relu48",)),  # the slow way takes seconds where D is 768
    "iforest": Case(iforest, params={"trees": 10}),
    "ocsvm": Case(ocsvm),
}
