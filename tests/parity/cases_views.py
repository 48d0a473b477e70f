"""Plain definitions of scores that read features of changed images."""

from __future__ import annotations

import numpy as np

from moodbench.scores.block import HELD_OUT
from tests.parity.case import Case
from tests.views import changed_of


def changed(rows, name):
    return changed_of(rows.astype(np.float32))[name].astype(np.float64)


def softmax(logits):
    p = np.exp(logits - logits.max())
    return p / p.sum()


def logit_of_largest(logits):
    p = np.sort(softmax(logits))
    return np.log(p[-1] / p[:-1].sum())


def tempered(name):
    def definition(w, b, train, labels, rows, temperature=1000.0):
        return np.array([logit_of_largest((w @ x + b) / temperature) for x in changed(rows, name)])

    return definition


def pro(w, b, train, labels, rows):
    return np.array([logit_of_largest(w @ x + b) for x in changed(rows, "pro-0.0005")])


def she_noise(w, b, train, labels, rows):
    predicted = np.array([np.argmax(w @ x + b) for x in train])
    scores = []
    for x in changed(rows, "she-0.0014"):
        c = np.argmax(w @ x + b)
        own = train[(labels == c) & (predicted == c)]
        pattern = own.mean(axis=0) if len(own) else train[labels == c].mean(axis=0)
        scores.append(x @ pattern)
    return np.array(scores)


def shift(x, y):
    order = np.argsort(-x, kind="stable")
    many, few = (order[: max(1, int(len(x) * share / 100))] for share in (5, 1))
    return np.maximum(y[many], 0).sum() + 10 * np.abs(x[few] - y[few]).sum()


def adascale_ratios(train, rows):
    held_out = train[HELD_OUT - 1 :: HELD_OUT]
    known = np.array([shift(*pair) for pair in zip(held_out, changed(held_out, "adascale-0.05"), strict=True)])
    for x, y in zip(rows, changed(rows, "adascale-0.05"), strict=True):
        percentile = 75 + (1 - (known <= shift(x, y)).mean()) * 10
        best = np.sort(np.maximum(x, 0))[::-1]
        yield best.sum() / best[: len(x) - round(len(x) * percentile / 100)].sum()


def energy(logits):
    return logits.max() + np.log(np.exp(logits - logits.max()).sum())


def adascale_a(w, b, train, labels, rows):
    ratios = adascale_ratios(train, rows)
    return np.array([energy(w @ (x * np.exp(r)) + b) for x, r in zip(rows, ratios, strict=True)])


def adascale_l(w, b, train, labels, rows):
    ratios = adascale_ratios(train, rows)
    return np.array([energy((w @ x + b) * r**2) for x, r in zip(rows, ratios, strict=True)])


def passes(w, b, rows):
    views = [changed(rows, name) for name in ("dropout-0.1", "dropout-0.1-seed1")]
    for two in zip(*views, strict=True):
        yield np.stack([softmax(w @ x + b) for x in two])


def mc_dropout(w, b, train, labels, rows):
    return np.array([p.mean(axis=0).max() for p in passes(w, b, rows)])


def entropy(p):
    return -sum(v * np.log(v) for v in p if v > 0)


def mc_dropout_mi(w, b, train, labels, rows):
    return np.array([np.mean([entropy(v) for v in p]) - entropy(p.mean(axis=0)) for p in passes(w, b, rows)])


CASES = {
    "odin": Case(tempered("odin-0.0014")),
    "iodin": Case(tempered("iodin-0.0014"), params={"temperature": 10.0}),
    "she_noise": Case(she_noise),
    "pro": Case(pro),
    "adascale_a": Case(adascale_a),
    "adascale_l": Case(adascale_l),
    "mc_dropout": Case(mc_dropout),
    "mc_dropout_mi": Case(mc_dropout_mi),
}
