"""Other vectors of the rows of a world, as if they were layers of a network or features of changed images.

Each is a function of the row alone, so that any part of the rows has the same; plain definitions ask for them as well.
"""

from __future__ import annotations

import numpy as np

LAYERS = {"blocks.0": 6, "blocks.1": 9, "blocks.2": 12}
"""Layer → its width."""


def layers_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return layer → (B, width) float32 of rows (B, D), from the input to the output: each reads the one before."""
    x = features.astype(np.float64)
    found = {}
    for seed, (name, width) in enumerate(LAYERS.items()):
        mix = np.random.default_rng(seed).normal(size=(x.shape[1], width)) / np.sqrt(x.shape[1])
        x = x @ mix
        x = np.maximum(x, 0.3 * x)  # of rows twice as large the layers are twice as large
        found[name] = x.astype(np.float32)
    return found


def views_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return the same under the names of caches, with views of changed images: (B, width) float32 each."""
    return {f"layer-{name}": values for name, values in layers_of(features).items()}
