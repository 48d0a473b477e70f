"""Plain definitions of the subspace scores and of those of features and logits."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, logsumexp, softmax
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tests.parity.case import Case
from tests.parity.cases_logit import log_p_and_others


def _predict(w, b, x):
    return int(np.argmax(w @ x + b))


def _patterns(w, b, train, labels):
    predicted = np.array([_predict(w, b, x) for x in train])
    return {k: train[(labels == k) & (predicted == k)] for k in range(len(b))}


def she(w, b, train, labels, rows):
    stored = {k: x.mean(axis=0) for k, x in _patterns(w, b, train, labels).items()}
    return np.array([x @ stored[_predict(w, b, x)] for x in rows])


def hopfield(w, b, train, labels, rows):
    stored = _patterns(w, b, train, labels)
    return np.array([logsumexp([0.01 * (x @ y) for y in stored[_predict(w, b, x)]]) for x in rows])


def fdbd(w, b, train, labels, rows):
    mean = train.mean(axis=0)
    scores = []
    for x in rows:
        logits = w @ x + b
        c = int(np.argmax(logits))
        gaps = [(logits[c] - logits[k]) / np.linalg.norm(w[c] - w[k]) for k in range(len(b)) if k != c]
        scores.append(sum(gaps) / np.linalg.norm(x - mean))
    return np.array(scores)


def nci(w, b, train, labels, rows):
    mean = train.mean(axis=0)
    directions = [(x - mean) / np.linalg.norm(x - mean) for x in rows]
    return np.array([w[_predict(w, b, x)] @ d + 1e-4 * np.abs(x).sum() for x, d in zip(rows, directions, strict=True)])


def nnguide(w, b, train, labels, rows):
    bank = [x / np.linalg.norm(x) * logsumexp(w @ x + b) for x in train]
    scores = []
    for x in rows:
        guidance = sorted((x / np.linalg.norm(x)) @ y for y in bank)[-10:]
        scores.append(np.mean(guidance) * logsumexp(w @ x + b))
    return np.array(scores)


def relation(w, b, train, labels, rows):
    bank = [(x / np.linalg.norm(x), softmax(w @ x + b)) for x in train]
    scores = []
    for x in rows:
        z, p = x / np.linalg.norm(x), softmax(w @ x + b)
        relations = [max(0.0, z @ y) * (p @ q) for y, q in bank]
        scores.append(sum(r for r in relations if r > 0.03))
    return np.array(scores)


def _recon(train, rows, explained):
    mean = train.mean(axis=0)
    values, vectors = np.linalg.eigh((train - mean).T @ (train - mean) / len(train))
    values, vectors = values[::-1], vectors[:, ::-1]
    q = next(i for i in range(1, len(values)) if values[:i].sum() >= explained * values.sum())
    p = vectors[:, :q] @ vectors[:, :q].T
    return np.array([np.linalg.norm((x - mean) - p @ (x - mean)) for x in rows])


def _unit(rows):
    return np.array([x / np.linalg.norm(x) for x in rows])


def pca_recon(w, b, train, labels, rows):
    return -_recon(train, rows, 0.99)


def cop(w, b, train, labels, rows):
    return -_recon(_unit(train), _unit(rows), 0.99)


def corp(w, b, train, labels, rows, dimensions):
    draw = torch.Generator().manual_seed(0)
    directions = np.sqrt(6) * torch.randn(dimensions, w.shape[1], generator=draw, dtype=torch.float64).numpy()
    phases = 2 * np.pi * torch.rand(dimensions, generator=draw, dtype=torch.float64).numpy()

    def mapped(x):
        return np.array([np.sqrt(2 / dimensions) * np.cos(directions @ z + phases) for z in _unit(x)])

    return -_recon(mapped(train), mapped(rows), 0.5)


def cop_fused(w, b, train, labels, rows):
    return (1 - _recon(_unit(train), _unit(rows), 0.9)) * np.array([logsumexp(w @ x + b) for x in rows])


def neco(w, b, train, labels, rows):
    scaler = StandardScaler().fit(train)
    pca = PCA().fit(scaler.transform(train))
    d = int(np.argmax(np.cumsum(pca.explained_variance_ratio_) >= 0.9)) + 1
    scores = []
    for x in rows:
        standard = scaler.transform(x[None])
        share = np.linalg.norm(pca.transform(standard)[0, :d]) / np.linalg.norm(standard)
        scores.append(share * (w @ x + b).max())
    return np.array(scores)


def _predicted_means(w, b, train):
    predicted = np.array([_predict(w, b, x) for x in train])
    return {k: train[predicted == k].mean(axis=0) for k in np.unique(predicted)}


def caref(w, b, train, labels, rows):
    means = _predicted_means(w, b, train)
    return np.array([-np.abs(x - means[_predict(w, b, x)]).sum() / np.abs(x).sum() for x in rows])


def cadref(w, b, train, labels, rows):
    means = _predicted_means(w, b, train)
    average = np.mean([logsumexp(w @ x + b) for x in train])
    scores = []
    for x in rows:
        c = _predict(w, b, x)
        d = (x - means[c]) * np.sign(w[c])
        raising, lowering = d[d > 0].sum() / np.abs(x).sum(), -d[d < 0].sum() / np.abs(x).sum()
        scores.append(-(raising / logsumexp(w @ x + b) + lowering / average))
    return np.array(scores)


def sirc(w, b, train, labels, rows):
    lengths = [np.abs(x).sum() for x in train]
    start, steepness = np.mean(lengths) - 3 * np.std(lengths), 1 / np.std(lengths)
    scores = []
    for x in rows:
        p = np.sort(softmax(w @ x + b))
        scores.append(-np.log(p[:-1].sum()) - np.log1p(np.exp(-steepness * (np.abs(x).sum() - start))))
    return np.array(scores)


def pnml(w, b, train, labels, rows):
    z_train = _unit(train)
    inverse = np.linalg.pinv(z_train.T @ z_train, rcond=1e-10, hermitian=True)
    scores = []
    for z in _unit(rows):
        logits, a = w @ z + b, z @ inverse @ z
        g = a / (1 + a)
        log_p, log_others = log_p_and_others(logits)
        # p / (p + (1 - p) p^g), divided by p: p itself may be too small for a number
        terms = [-np.logaddexp(0, q + (g - 1) * p) for p, q in zip(log_p, log_others, strict=True)]
        scores.append(-np.logaddexp.reduce(terms) / np.log(len(b)))
    return np.array(scores)


def conjnorm(w, b, train, labels, rows):
    p, q, t = 1.5, 3.0, 0.0005
    v = {k: train[labels == k].mean(axis=0) for k in range(len(b))}
    v = {k: m / np.linalg.norm(m, ord=p) for k, m in v.items()}
    gradients = {k: m * np.abs(m) ** (q - 2) / np.linalg.norm(m, ord=q) ** (q - 2) for k, m in v.items()}

    def density(x, k):
        z = x / np.linalg.norm(x, ord=p)
        return (z @ gradients[k] - np.linalg.norm(z, ord=q) ** 2 / 2) / t

    logs = {k: logsumexp([density(x, k) for x in train[labels == k]]) for k in range(len(b))}
    return np.array([logsumexp([density(x, k) - logs[k] for k in range(len(b))]) for x in rows])


def wdiscood(w, b, train, labels, rows):
    z_train, z_rows = _unit(train), _unit(rows)
    classes = np.unique(labels)
    means = np.array([z_train[labels == k].mean(axis=0) for k in classes])
    within = z_train - means[np.searchsorted(classes, labels)]
    values, vectors = np.linalg.eigh(within.T @ within / len(train))
    kept = values > 1e-10 * values[-1]
    whiten = vectors[:, kept] / np.sqrt(values[kept])
    centre, means = z_train.mean(axis=0) @ whiten, means @ whiten
    between = sum(np.outer(m - centre, m - centre) for m in means) / len(means)
    ratios, directions = np.linalg.eigh(between)
    dim = min(512 if w.shape[1] >= 768 else w.shape[1] // 2, int((ratios > 1e-10 * ratios[-1]).sum()))
    g, h = directions[:, -dim:], directions[:, :-dim]
    y_rows = z_rows @ whiten
    return np.array(
        [-min(np.linalg.norm((y - m) @ g) for m in means) - np.linalg.norm((y - centre) @ h) for y in y_rows]
    )


def _nac_points():
    lower = np.log(np.linspace(1, np.sqrt(1000), 25)) / np.log(1000)
    return np.array([*lower[:-1], 0.5, *(1 - lower)[-2::-1]])


def nac_last(w, b, train, labels, rows, steepness):
    def states(x):
        gradient = w.T @ (softmax(w @ x + b) - 1 / len(b))
        return np.searchsorted(_nac_points()[1:-1], expit(steepness * x * gradient), side="right")

    known = np.array([states(x) for x in train])
    full = 0.01 * len(train)
    # rows are added up before they are divided: where `full` is whole, sums are exact, and equal ones are ties
    return np.array([np.minimum((known == states(x)).sum(axis=0), full).sum() / full / len(x) for x in rows])


CASES = {
    "sirc": Case(sirc),
    "pnml": Case(pnml),
    "conjnorm": Case(conjnorm),
    "wdiscood": Case(wdiscood),
    # a state that float32 puts on the other side of a bound moves one neuron of a row: 1/D of the score's range
    "nac_last": Case(nac_last, tolerance=5e-3, params={"steepness": 30.0}),
    "pca_recon": Case(pca_recon),
    "cop": Case(cop),
    "corp": Case(corp, params={"dimensions": 64}),
    "cop_fused": Case(cop_fused),
    "neco": Case(neco),
    "caref": Case(caref),
    "cadref": Case(cadref),
    "she": Case(she),
    "hopfield": Case(hopfield),
    "fdbd": Case(fdbd),
    "nci": Case(nci),
    "nnguide": Case(nnguide),
    "relation": Case(relation),
}
