"""Texts that come with the head of a world: functions of its weight alone, so that plain definitions have them too."""

from __future__ import annotations

import numpy as np

NEGATIVES = 23
NOISE = 6


def texts_of(weight: np.ndarray) -> dict[str, np.ndarray]:
    """Return negatives (23, D), the classes negated (C, D) and noise images (6, D), float32, for a head (C, D)."""
    rng = np.random.default_rng(5)
    scale = np.linalg.norm(weight, axis=1).mean() / np.sqrt(weight.shape[1])
    negatives = scale * rng.normal(size=(NEGATIVES, weight.shape[1]))
    negated = 0.5 * weight[::-1] + 0.3 * scale * rng.normal(size=weight.shape)
    noise = rng.normal(size=(NOISE, weight.shape[1]))
    texts = {"negatives": negatives, "negated": negated, "noise": noise}
    return {kind: one.astype(np.float32) for kind, one in texts.items()}
