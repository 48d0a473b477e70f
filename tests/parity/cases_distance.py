"""Plain definitions of the distance and density scores."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp, softmax

from tests.parity.case import Case


def _unit(rows):
    return np.array([x / np.linalg.norm(x) for x in rows])


def _classes(labels):
    return np.unique(labels[labels >= 0])


def _pinv(covariance):
    return np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)


def _means_and_within(train, labels):
    means = [train[labels == k].mean(axis=0) for k in _classes(labels)]
    scatter = 0
    for k, m in zip(_classes(labels), means, strict=True):
        scatter = scatter + (train[labels == k] - m).T @ (train[labels == k] - m)
    return means, scatter / len(train)


def _total(train):
    m = train.mean(axis=0)
    return m, (train - m).T @ (train - m) / len(train)


def _square(x, centre, precision):
    return (x - centre) @ precision @ (x - centre)


def maha_pp(w, b, train, labels, rows):
    means, within = _means_and_within(_unit(train), labels)
    precision = _pinv(within)
    return np.array([-min(_square(z, m, precision) for m in means) for z in _unit(rows)])


def rmds(w, b, train, labels, rows):
    means, within = _means_and_within(train, labels)
    mean, total = _total(train)
    near, far = _pinv(within), _pinv(total)
    return np.array([-min(_square(x, m, near) - _square(x, mean, far) for m in means) for x in rows])


def rmds_pp(w, b, train, labels, rows):
    return rmds(w, b, _unit(train), labels, _unit(rows))


def knn(w, b, train, labels, rows, k):
    bank = _unit(train)
    # the cosine of the k-th nearest by Euclidean distance
    return np.array([1 - np.sort(((bank - z) ** 2).sum(axis=1))[k - 1] / 2 for z in _unit(rows)])


def cos_max(w, b, train, labels, rows):
    return np.array([max(z @ t for t in _unit(train)) for z in _unit(rows)])


def projection(w, b, train, labels, rows):
    bank = _unit(train)
    return np.array([max(x @ t for t in bank) for x in rows])


def cosine_class(w, b, train, labels, rows):
    means = _unit([train[labels == k].mean(axis=0) for k in _classes(labels)])
    return np.array([max(x @ m / np.linalg.norm(x) for m in means) for x in rows])


def rcos(w, b, train, labels, rows):
    means = _unit([train[labels == k].mean(axis=0) for k in _classes(labels)])
    return np.array([np.log(softmax([x @ m / np.linalg.norm(x) for m in means]).max()) for x in rows])


def cosine_head(w, b, train, labels, rows):
    return np.array([max(x @ v / np.linalg.norm(x) / np.linalg.norm(v) for v in w) for x in rows])


def projection_class(w, b, train, labels, rows):
    means = [train[labels == k].mean(axis=0) for k in range(len(b))]
    scores = []
    for x in rows:
        p = softmax(w @ x + b)
        cosines = [x @ m / np.linalg.norm(x) / np.linalg.norm(m) for m in means]
        scores.append(np.linalg.norm(x) * np.dot(p, cosines))
    return np.array(scores)


def norm_l1(w, b, train, labels, rows):
    return np.array([sum(abs(v) for v in x) for x in rows])


def norm_l2(w, b, train, labels, rows):
    return np.array([sum(v * v for v in x) ** 0.5 for x in rows])


def nan_norm(w, b, train, labels, rows):
    return np.array([sum(abs(v) for v in x) / sum(v > 0 for v in x) for x in rows])


def _to_mean(train, rows, order):
    mean = _unit(train).mean(axis=0)
    return np.array([-np.linalg.norm(z - mean, ord=order) for z in _unit(rows)])


def euclid(w, b, train, labels, rows):
    return _to_mean(train, rows, 2)


def mean_l1(w, b, train, labels, rows):
    return _to_mean(train, rows, 1)


def linf(w, b, train, labels, rows):
    return _to_mean(train, rows, np.inf)


def ssd(w, b, train, labels, rows):
    bank, rows = _unit(train), _unit(rows)
    varies = bank.std(axis=0) > 0
    bank, rows = bank[:, varies], rows[:, varies]
    mean, std = bank.mean(axis=0), bank.std(axis=0)
    precision = _pinv(np.corrcoef(bank.T))
    return np.array([-_square((z - mean) / std, 0, precision) for z in rows])


def gauss_lw(w, b, train, labels, rows):
    bank, rows = _unit(train), _unit(rows)
    mean, sample = _total(bank)
    n, d = bank.shape
    target = np.trace(sample) / d * np.eye(d)
    # the error of the sample covariance, as the mean squared distance of one row's outer product from it
    error = sum((((z - mean) ** 2).sum()) ** 2 - (sample**2).sum() for z in bank) / n**2
    weight = min(error / ((sample - target) ** 2).sum(), 1)
    shrunk = weight * target + (1 - weight) * sample
    sign, log_det = np.linalg.slogdet(shrunk)
    precision = np.linalg.inv(shrunk)
    return np.array([-0.5 * (_square(z, mean, precision) + sign * log_det + d * np.log(2 * np.pi)) for z in rows])


def variance_norm(w, b, train, labels, rows):
    mean, total = _total(train)
    precision = _pinv(total)
    return np.array([-(_square(x, mean, precision) ** 0.5) for x in rows])


def conformance(w, b, train, labels, rows):
    precision = _pinv(_total(train)[1])
    scores = []
    for x in rows:
        ways = train - x
        scores.append(-np.sqrt(((ways @ precision) * ways).sum(axis=1).min()))
    return np.array(scores)


def gmm_tied(w, b, train, labels, rows):
    means, within = _means_and_within(train, labels)
    precision = _pinv(within)
    shares = [(labels == k).mean() for k in _classes(labels)]
    return np.array(
        [
            logsumexp([np.log(p) - 0.5 * _square(x, m, precision) for p, m in zip(shares, means, strict=True)])
            for x in rows
        ]
    )


def qda(w, b, train, labels, rows, shrinkage):
    groups = {k: train[labels == k] for k in _classes(labels)}
    level = _means_and_within(train, labels)[1].trace() / train.shape[1]
    terms = []
    for group in groups.values():
        own = (group - group.mean(axis=0)).T @ (group - group.mean(axis=0)) / (len(group) - 1)
        covariance = (1 - shrinkage) * own + shrinkage * level * np.eye(train.shape[1])
        solved = np.linalg.solve(covariance, (rows - group.mean(axis=0)).T).T
        squares = [(x - group.mean(axis=0)) @ y for x, y in zip(rows, solved, strict=True)]
        log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
        terms.append(np.log(len(group) / len(train)) - 0.5 * log_det - 0.5 * np.array(squares))
    return logsumexp(terms, axis=0)


CASES = {
    "qda": Case(qda, params={"shrinkage": 0.05}, worlds=("relu48",)),  # 50 covariances of 768 features take seconds
    "maha_pp": Case(maha_pp),
    "rmds": Case(rmds),
    "rmds_pp": Case(rmds_pp),
    "knn": Case(knn, params={"k": 20}),
    "cos_max": Case(cos_max),
    "projection": Case(projection),
    "cosine_class": Case(cosine_class),
    "rcos": Case(rcos),
    "cosine_head": Case(cosine_head),
    "projection_class": Case(projection_class),
    "norm_l1": Case(norm_l1),
    "norm_l2": Case(norm_l2),
    "nan_norm": Case(nan_norm),
    "euclid": Case(euclid),
    "mean_l1": Case(mean_l1),
    "linf": Case(linf),
    "ssd": Case(ssd),
    "gauss_lw": Case(gauss_lw),
    "variance_norm": Case(variance_norm),
    "conformance": Case(conformance),
    "gmm_tied": Case(gmm_tied),
}
