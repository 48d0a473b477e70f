"""Plain definitions of the nine scores of MOODv2."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import kl_div, logsumexp, softmax

from tests.parity.case import Case


def msp(w, b, train, labels, rows):
    return np.array([softmax(w @ x + b).max() for x in rows])


def max_logit(w, b, train, labels, rows):
    return np.array([(w @ x + b).max() for x in rows])


def energy(w, b, train, labels, rows):
    return np.array([logsumexp(w @ x + b) for x in rows])


def energy_react(w, b, train, labels, rows):
    tau = np.quantile(train, 0.99)
    return np.array([logsumexp(w @ np.minimum(x, tau) + b) for x in rows])


def _null_space(w, b, train, dim):
    u = -np.linalg.pinv(w) @ b
    moment = sum(np.outer(x - u, x - u) for x in train) / len(train)
    values, vectors = np.linalg.eigh(moment)
    return u, vectors[:, np.argsort(-values)[dim:]]


def _dim(w, wide):
    width = w.shape[1]
    return wide if width >= 2048 else 512 if width >= 768 else width // 2


def residual(w, b, train, labels, rows):
    u, r = _null_space(w, b, train, _dim(w, 1000))
    return np.array([-np.linalg.norm((x - u) @ r) for x in rows])


def vim(w, b, train, labels, rows):
    u, r = _null_space(w, b, train, _dim(w, len(b)))
    alpha = np.mean([(w @ x + b).max() for x in train]) / np.mean([np.linalg.norm((x - u) @ r) for x in train])
    return np.array([logsumexp(w @ x + b) - alpha * np.linalg.norm((x - u) @ r) for x in rows])


def gradnorm(w, b, train, labels, rows):
    scores = []
    for x in rows:
        weight = torch.tensor(w, requires_grad=True)
        logits = weight @ torch.tensor(x) + torch.tensor(b)
        (-torch.log_softmax(logits, dim=0)).sum().backward()
        scores.append(weight.grad.abs().sum().item())
    return np.array(scores)


def mahalanobis(w, b, train, labels, rows):
    classes = np.unique(labels[labels >= 0])
    means = {k: train[labels == k].mean(axis=0) for k in classes}
    known = [(x, k) for x, k in zip(train, labels, strict=True) if k >= 0]
    covariance = sum(np.outer(x - means[k], x - means[k]) for x, k in known) / len(known)
    precision = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    return np.array([-min((x - m) @ precision @ (x - m) for m in means.values()) for x in rows])


def kl_matching(w, b, train, labels, rows):
    p_train = np.array([softmax(w @ x + b) for x in train])
    predicted = p_train.argmax(axis=1)
    templates = [p_train[predicted == k].mean(axis=0) for k in np.unique(predicted)]
    p_rows = [softmax(w @ x + b) for x in rows]
    # p log(p / q) - p + q: where p and q are nearly 1, what p log(p / q) has rounded away is in the other classes
    return np.array([-min(kl_div(p, q).sum() for q in templates) for p in p_rows])


CASES = {
    "msp": Case(msp),
    "max_logit": Case(max_logit),
    "energy": Case(energy),
    "energy_react": Case(energy_react),
    "residual": Case(residual),
    "vim": Case(vim),
    "gradnorm": Case(gradnorm),
    "mahalanobis": Case(mahalanobis),
    "kl_matching": Case(kl_matching),
}
