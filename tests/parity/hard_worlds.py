"""Worlds in which rounding shows: saturated logits, two classes, duplicated rows, tiny and huge features."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.worlds import World, make_world

LARGEST = 80.0
"""Of the logits, in absolute value: far beyond where a softmax in float32 is 0 or 1."""

CLASSES = (2, 5, 10)
SCALES = (1e-3, 1.0, 1e3)


@cache
def hard_world(classes: int, scale: float, *, relu: bool = False) -> World:
    """Return a world of features `scale` times as large, a fifth of whose ID train rows stand there twice.

    The first ten rows of ``test`` are ID train rows, and the first five of ``ood`` stand there twice.
    """
    world = make_world(classes, classes=classes, dim=24, rows=300, relu=relu)
    train, labels = world.train.copy(), world.labels.copy()
    train[240:], labels[240:] = train[:60], labels[:60]
    test, ood = world.tests["test"].copy(), world.tests["ood"].copy()
    test[:10], ood[5:10] = train[:10], ood[:5]
    assert world.weight is not None
    assert world.bias is not None
    rows = np.concatenate([train, test, ood]).astype(np.float64)
    largest = np.abs(rows @ world.weight.T + world.bias).max()
    weight = (world.weight * (LARGEST / largest / scale)).astype(np.float32)
    bias = (world.bias * (LARGEST / largest)).astype(np.float32)
    features = {"test": (test * scale).astype(np.float32), "ood": (ood * scale).astype(np.float32)}
    return World(weight, bias, (train * scale).astype(np.float32), labels, features)
