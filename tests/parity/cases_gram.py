"""The plain definition of the score on Gram matrices."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Case
from tests.views import GRAMS, numbers_of


def gram(w, b, train, labels, rows):
    def predicted(x):
        logits = w @ x + b
        p = np.exp(logits - logits.max())
        return int(np.argmax(logits)), float((p / p.sum()).max())

    known = [predicted(x) for x in train]
    held_out = range(9, len(train), 10)
    kept = [i for i in range(len(train)) if i % 10 != 9]
    scores = np.zeros(len(rows))
    for name in GRAMS:
        bank, found = (numbers_of(x.astype(np.float32))[name].astype(np.float64) for x in (train, rows))

        def deviation(g, of, bank=bank):
            k, confidence = of
            its = [i for i in kept if known[i][0] == k] or kept
            total = 0.0
            for value, low, high in zip(g, bank[its].min(axis=0), bank[its].max(axis=0), strict=True):
                if value < low:
                    total += (low - value) / abs(low + 1e-6)
                if value > high:
                    total += (value - high) / abs(high + 1e-6)
            return total / confidence

        mean = np.mean([deviation(bank[i], known[i]) for i in held_out]) + 1e-7
        scores -= [deviation(g, predicted(x)) / mean for g, x in zip(found, rows, strict=True)]
    return scores


CASES = {"gram": Case(gram)}
