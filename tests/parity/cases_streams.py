"""Plain definitions of transductive scores: what a row has by itself (`CASES`), a whole stream (`STREAMS`)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import logsumexp, softmax

from tests.parity.case import Case
from tests.parity.cases_text import cosines, neglabel
from tests.texts import texts_of

GROUPS = 5


def unit(x):
    return x / np.linalg.norm(x)


def dictionary(w, b, train, labels, share):
    """The most confident rows of each class, one of each class after the other, up to a share of all."""
    confident = [-logsumexp(np.delete(one, one.argmax()) - one.max()) for one in train @ w.T + b]  # MSP would round
    ranked = {k: sorted(np.flatnonzero(labels == k), key=lambda i: -confident[i]) for k in sorted(set(labels))}
    turns = [ranked[k][turn] for turn in range(len(train)) for k in ranked if turn < len(ranked[k])]
    return np.array([unit(train[i]) for i in turns[: int(share * len(train))]])


def kth(rows, x, k):
    return np.sort(rows @ unit(x))[-min(k, len(rows))]


def oodd_alone(w, b, train, labels, rows, k=10, share=0.5, **others):
    kept = dictionary(w, b, train, labels, share)
    return np.array([kth(kept, x, k) for x in rows])


def oodd(w, b, train, labels, rows, batch, k=10, k_ood=5, share=0.5, queue=512):
    alone = oodd_alone(w, b, train, labels, rows, k, share)
    held, scores = [], []
    for start in range(0, len(rows), batch):
        some = range(start, min(start + batch, len(rows)))
        for i in some:
            held.append(i)
            if len(held) > queue:
                held.remove(max(held, key=lambda j: alone[j]))
        known = np.array([unit(rows[i]) for i in held])
        scores += [alone[i] - kth(known, rows[i], k_ood) for i in some]
    return np.array(scores)


def adaneg_alone(w, b, train, labels, rows, temperature=0.01, groups=GROUPS, **others):
    return neglabel(w, b, train, labels, rows, temperature, groups)


def _proxy(held, x, adapt, sharpness):
    if adapt == "task":
        return unit(np.sum(held, axis=0))
    return unit(np.sum([np.exp(-sharpness * (1 - x @ one)) * one for one in held], axis=0))


def adaneg(
    w,
    b,
    train,
    labels,
    rows,
    batch,
    temperature=0.01,
    groups=GROUPS,
    threshold=0.5,
    gap=0.5,
    memory=10,
    weight=0.1,
    adapt="task",
    sharpness=5.5,
):
    negatives = texts_of(w.astype(np.float32))["negatives"].astype(np.float64)
    texts = [unit(t) for t in (*w, *negatives)]
    alone = adaneg_alone(w, b, train, labels, rows, temperature, groups)
    pictures = [[] for _ in texts]  # (entropy, row)
    scores = []
    for start in range(0, len(rows), batch):
        some = range(start, min(start + batch, len(rows)))
        for i in some:
            x, first, last = unit(rows[i]), 0, len(w)
            if threshold - gap * threshold <= alone[i] <= threshold + gap * (1 - threshold):
                continue
            if alone[i] < threshold:
                first, last = len(w), len(texts)
            p = softmax(cosines(texts[first:last], x) / temperature)
            entropy = -np.sum(p * np.log(p + 1e-8))
            there = pictures[first + int(p.argmax())]
            if len(there) < memory - 1:
                there.append((entropy, x))
            elif entropy < max(e for e, _ in there):
                there[int(np.argmax([e for e, _ in there]))] = (entropy, x)
        for i in some:
            x = unit(rows[i])
            held = [[t, *(one for _, one in has)] for t, has in zip(texts, pictures, strict=True)]
            logits = np.array([_proxy(one, x, adapt, sharpness) @ x for one in held]) / temperature
            count = len(negatives) - len(negatives) % groups
            order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).numpy()
            parts = np.split(logits[len(w) :][order], groups)
            ratios = [softmax(np.concatenate([logits[: len(w)], part]))[: len(w)].sum() for part in parts]
            scores.append(np.mean(ratios) + weight * alone[i])
    return np.array(scores)


CASES = {
    "oodd": Case(oodd_alone),
    "adaneg": Case(adaneg_alone),
}

STREAMS = {"oodd": oodd, "adaneg": adaneg}
"""Score → definition of a stream: as a case's, rows in the order of the stream, and how many come together."""
