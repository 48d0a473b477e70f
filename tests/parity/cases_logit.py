"""Plain definitions of the scores of probabilities and logits, and of the controls."""

from __future__ import annotations

import math
import struct

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp, softmax
from scipy.stats import entropy as shannon
from scipy.stats import weibull_min

from tests.parity.case import Case

MASK = (1 << 64) - 1


def entropy(w, b, train, labels, rows):
    return np.array([-shannon(softmax(w @ x + b)) for x in rows])


def log_p_and_others(logits):
    """Return log p_k and log(1 - p_k), the latter as the sum of all others: p_k itself may round to 1."""
    total = np.logaddexp.reduce(logits)
    others = [np.logaddexp.reduce(np.delete(logits, k)) for k in range(len(logits))]
    return logits - total, np.array(others) - total


def gen(w, b, train, labels, rows, gamma=0.1, top=100):
    scores = []
    for x in rows:
        log_p, log_others = log_p_and_others(np.sort(w @ x + b)[::-1])
        pairs = list(zip(log_p, log_others, strict=True))[:top]
        scores.append(-sum(np.exp(gamma * p) * np.exp(gamma * q) for p, q in pairs))
    return np.array(scores)


def doctor_alpha(w, b, train, labels, rows):
    scores = []
    for x in rows:
        log_p, log_others = log_p_and_others(w @ x + b)
        not_g = sum(np.exp(p) * np.exp(q) for p, q in zip(log_p, log_others, strict=True))  # 1 - sum of p^2
        scores.append(-not_g / sum(np.exp(log_p) ** 2))
    return np.array(scores)


def klu(w, b, train, labels, rows):
    return np.array([logsumexp(w @ x + b) - np.mean(w @ x + b) for x in rows])


def _two_best(values):
    order = sorted(values)
    return order[-1], order[-2]


def margin(w, b, train, labels, rows):
    return np.array([np.subtract(*_two_best(w @ x + b)) for x in rows])


def margin_p(w, b, train, labels, rows):
    return np.array([np.subtract(*_two_best(softmax(w @ x + b))) for x in rows])


def _logit_of_largest(logits, temperature):
    log_p = np.sort(logits / temperature - logsumexp(logits / temperature))
    return log_p[-1] - logsumexp(log_p[:-1])


def odin0(w, b, train, labels, rows, temperature=1000.0):
    return np.array([_logit_of_largest(w @ x + b, temperature) for x in rows])


def temp_scaling(w, b, train, labels, rows):
    held_out = [(w @ x + b, y) for i, (x, y) in enumerate(zip(train, labels, strict=True)) if i % 10 == 9]

    def loss(inverse):
        return np.mean([logsumexp(inverse * logits) - inverse * logits[y] for logits, y in held_out])

    inverse = minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-10}).x
    return np.array([_logit_of_largest(w @ x + b, 1 / inverse) for x in rows])


def std_max_logit(w, b, train, labels, rows):
    logits = [w @ x + b for x in train]
    scores = []
    for x in rows:
        best = np.argmax(w @ x + b)
        alike = [max(values) for values in logits if np.argmax(values) == best]
        scores.append((max(w @ x + b) - np.mean(alike)) / np.std(alike, ddof=1))
    return np.array(scores)


def igeood_logit(w, b, train, labels, rows, temperature=1.0):
    def root(logits):
        return np.exp((logits - logsumexp(logits)) / 2)

    def distance(p, q):
        """2 arccos(p·q) of unit vectors, by half the angle's tangent: a cosine near 1 has lost its digits."""
        return 4 * math.atan2(np.linalg.norm(p - q), np.linalg.norm(p + q))

    logits = np.array([w @ x + b for x in train])
    centroids = [root(logits[labels == k].mean(axis=0) / temperature) for k in np.unique(labels)]
    return np.array([sum(distance(root((w @ x + b) / temperature), q) for q in centroids) for x in rows])


def _eucos(a, b):
    return np.linalg.norm(a - b) / 200 + 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def _weibull(tail):
    """Return the distribution function of the law fitted to a tail of distances."""
    x = tail - tail.min() + 10_000
    logs = np.log(x)

    def likelihood_equation(shape):
        weights = np.exp(shape * (logs - logs.max()))
        return (weights * logs).sum() / weights.sum() - logs.mean() - 1 / shape

    shape = brentq(likelihood_equation, 1e2, 1e9, rtol=1e-14)
    scale = np.exp(logs.max()) * np.mean(np.exp(shape * (logs - logs.max()))) ** (1 / shape)
    return lambda distance: weibull_min.cdf(distance - tail.min() + 10_000, shape, scale=scale)


def openmax(w, b, train, labels, rows, tail=20, alpha=10):
    logits = np.array([w @ x + b for x in train])
    models = []
    for k in range(len(b)):
        correct = logits[(labels == k) & (logits.argmax(axis=1) == k)]
        mean = correct.mean(axis=0)
        models.append((mean, _weibull(np.sort([_eucos(v, mean) for v in correct])[-tail:])))
    alpha = min(alpha, len(b))
    scores = []
    for x in rows:
        v = w @ x + b
        revised = v.copy()
        for j, k in enumerate(np.argsort(-v)[:alpha], start=1):
            mean, law = models[k]
            revised[k] = v[k] * (1 - (alpha + 1 - j) / alpha * law(_eucos(v, mean)))
        unknown = (v - revised).sum()
        scores.append(logsumexp(revised) - unknown)  # log((1 - p) / p) of the unknown class's p
    return np.array(scores)


def _finalised(z):
    for by, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> by)) * factor & MASK
    return z ^ (z >> 31)


def random(w, b, train, labels, rows):
    scores = []
    for x in rows:
        total = 0
        for d, value in enumerate(x):
            (bits,) = struct.unpack("<i", struct.pack("<f", value))
            total += bits * (_finalised((d + 1) * 0x9E3779B97F4A7C15 & MASK) | 1)
        scores.append((_finalised(total & MASK) >> 11) / 2**53)
    return np.array(scores)


def constant(w, b, train, labels, rows):
    return np.zeros(len(rows))


CASES = {
    "entropy": Case(entropy),
    "gen": Case(gen),
    "doctor_alpha": Case(doctor_alpha),
    "klu": Case(klu),
    "margin": Case(margin),
    "margin_p": Case(margin_p),
    "odin0": Case(odin0),
    "temp_scaling": Case(temp_scaling),
    "std_max_logit": Case(std_max_logit),
    "igeood_logit": Case(igeood_logit),
    "openmax": Case(openmax),
    "random": Case(random),
    "constant": Case(constant),
}
