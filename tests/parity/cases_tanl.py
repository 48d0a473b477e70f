"""The plain definition of TANL: what a row has by itself, and a whole stream."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, logsumexp, softmax

from tests.parity.case import Case
from tests.parity.cases_text import cosines
from tests.texts import texts_of


def otsu(scores):
    """Return the threshold with the least variance in two parts, by trying each."""
    grid = [k / 100 for k in range(100)]
    found = []
    for t in grid:
        low, high = scores[scores < t], scores[scores >= t]
        found.append(len(low) * np.var(low) + len(high) * np.var(high) if len(low) and len(high) else np.inf)
    best = [i for i, one in enumerate(found) if one <= min(found) * (1 + 1e-9)]  # one part in two gives one variance
    return grid[best[len(best) // 2]]


class Labels:
    """Rows against the classes and all candidates, at a temperature."""

    def __init__(self, w, texts, temperature, labels, step):
        self.classes, self.texts = len(w), np.concatenate([w, texts])
        self.temperature, self.labels, self.step = temperature, labels, step

    def activation(self, x):
        return softmax(cosines(self.texts, x) / self.temperature)[self.classes :]

    def score(self, x, activated):
        logits = cosines(self.texts, x) / self.temperature
        inside, outside = logits[: self.classes], logits[self.classes :]
        ranked = sorted(range(len(outside)), key=lambda i: -activated[i])[: self.labels]
        step = self.step or len(ranked)
        terms = [outside[ranked[:m]] for m in range(step, len(ranked) + step, step)]
        return np.mean([expit(logsumexp(inside) - logsumexp(some)) for some in terms])


def queues_of(labels, w, noise, queue):
    """Return what both queues hold before the first batch."""
    draw = torch.Generator().manual_seed(0)
    shuffled = [some[torch.randperm(len(some), generator=draw).numpy()] for some in (w, noise)]
    return [[labels.activation(x) for x in some][-queue:] for some in shuffled]


def begun(w, temperature, labels, queue, step):
    texts = texts_of(w.astype(np.float32))
    noise = texts["noise"].astype(np.float64)
    against = Labels(w, texts["negatives"].astype(np.float64), temperature, labels, step)
    sure_id, sure_ood = queues_of(against, w, noise, queue)
    return against, noise, sure_id, sure_ood


def tanl_alone(w, b, train, labels_, rows, temperature=0.01, labels=1000, queue=300, step=1, **others):
    against, _, sure_id, sure_ood = begun(w, temperature, labels, queue, step)
    activated = np.mean(sure_ood, axis=0) - np.mean(sure_id, axis=0)
    return np.array([against.score(x, activated) for x in rows])


def tanl(
    w,
    b,
    train,
    labels_,
    rows,
    batch,
    temperature=0.01,
    labels=1000,
    queue=300,
    gap=0.5,
    history=0.0,
    step=1,
    window=20000,
):
    against, noise, sure_id, sure_ood = begun(w, temperature, labels, queue, step)
    activated = np.mean(sure_ood, axis=0) - np.mean(sure_id, axis=0)
    firsts = [against.score(x, activated) for x in (*w, *noise)]
    scores = []
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        activated = np.mean(sure_ood, axis=0) - np.mean(sure_id, axis=0)
        first = [against.score(x, activated) for x in some]
        firsts = (firsts + first)[-window:]
        t = otsu(np.array(firsts))
        new_id = [against.activation(x) for x, one in zip(some, first, strict=True) if one > t + gap * (1 - t)]
        new_ood = [against.activation(x) for x, one in zip(some, first, strict=True) if one < t - gap * t]
        sides = []
        for held, new in ((sure_id, new_id), (sure_ood, new_ood)):
            mean = np.mean(held, axis=0)
            sides.append(history * mean + (1 - history) * np.mean(new, axis=0) if new else mean)
        scores += [against.score(x, sides[1] - sides[0]) for x in some]
        sure_id, sure_ood = (sure_id + new_id)[-queue:], (sure_ood + new_ood)[-queue:]
    return np.array(scores)


CASES = {"tanl": Case(tanl_alone)}

STREAMS = {"tanl": tanl}
"""As in `cases_streams`."""
