"""Streams for transductive scores out of rows of a world, in an order that the test chooses."""

from __future__ import annotations

import numpy as np

from moodbench.scores.machinery.streaming import Batch, OverStream
from tests.worlds import World


def stream_of(score: OverStream, world: World, rows: np.ndarray, order: np.ndarray, batch: int) -> np.ndarray:
    """Return the numbers (N,) of rows (N, D) that come in this order, so many at a time."""
    found = np.full(len(rows), np.nan)
    parts = [order[start : start + batch] for start in range(0, len(order), batch)]
    blocks = [world.block(rows[part]) for part in parts]
    answers = score.stream(Batch(block, score.score(block).double()) for block in blocks)
    for part, answer in zip(parts, answers, strict=True):
        found[part] = answer.double().numpy()
    return found
