"""Rows to fit a linear head to, in batches and standardised."""

from __future__ import annotations

import numpy as np
import torch

from moodbench.logistic import StandardisedRows, measure


def rows_of(seed=0, *, n=300, dim=8, classes=4, spread=1.0):
    """Return classes that overlap, in columns that are correlated and of different size."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    x = rng.normal(size=(classes, dim))[y] * spread + rng.normal(size=(n, dim))
    x = x @ rng.normal(size=(dim, dim)) * np.logspace(-2, 2, dim) + 10 * rng.normal(size=dim)
    return x.astype(np.float32), y


def batches(x, y, size=64):
    """Return a function that gives the rows in batches, from the first again at each call."""

    def start():
        for first in range(0, len(x), size):
            part = slice(first, first + size)
            yield torch.tensor(x[part]), torch.tensor(y[part])

    return start


def standardised(x, y, *, size=64, keep=1 << 30, dtype=torch.float64):
    """Return the rows standardised, and their moments."""
    start = batches(x, y, size)
    moments = measure(start, int(y.max()) + 1)
    return StandardisedRows(start, moments, len(y), keep=keep, dtype=dtype), moments
