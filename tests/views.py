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


SPREADS = {"blocks.2-std": 7}
"""Layer, pooled by its standard deviation → its width."""


def spreads_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return the same of rows (B, D) for layers as they deviate: no entry is negative."""
    x = features.astype(np.float64)
    mixes = {name: np.random.default_rng(300).normal(size=(x.shape[1], width)) for name, width in SPREADS.items()}
    return {name: (0.1 + np.abs(x @ mix)).astype(np.float32) for name, mix in mixes.items()}


CHANGED = (
    "odin-0.0014",
    "iodin-0.0014",
    "she-0.0014",
    "adascale-0.05",
    "pro-0.0005",
    "dropout-0.1",
    "dropout-0.1-seed1",
    "rankfeat-published",
)
"""Views of changed images, as wide as the features: the head fits."""


def changed_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return view → (B, D) float32 of rows (B, D): each a little of other entries added."""
    return {
        name: (features + (0.05 + 0.02 * i) * np.roll(features, 1 + i, axis=1)).astype(np.float32)
        for i, name in enumerate(CHANGED)
    }


GRAMS = {"gram-blocks.0": 7, "gram-blocks.1-powers3": 10}
"""Row sums of Gram matrices of layers, and their number."""

STATES = {"nac-blocks.0": 8, "nac-layer3": 13}
"""States of neurons of layers, and their number."""


def numbers_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return view → (B, width) float32 of rows (B, D): numbers that are no features."""
    x = features.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.where(lengths > 0, lengths, 1.0)
    found = {}
    for seed, (name, width) in enumerate(STATES.items()):
        mix = np.random.default_rng(100 + seed).normal(size=(x.shape[1], width))
        found[name] = (unit @ mix).astype(np.float32)
    for seed, (name, width) in enumerate(GRAMS.items()):
        mix = np.random.default_rng(200 + seed).normal(size=(x.shape[1], width))
        found[name] = (1 + np.abs(unit @ mix)).astype(np.float32)
    found["blood-10"] = (np.array([1.0, 3.0, 2.0]) / (lengths**2 + 1e-12)).astype(np.float32)  # rough where short
    found["gl_mcm-1"] = (0.1 + 0.01 * unit[:, :1]).astype(np.float32)
    sizes = np.abs(x)
    for name in ("gaia_a", "gaia_z"):
        found[name] = -np.stack([sizes.mean(axis=1), sizes.max(axis=1)], axis=1).astype(np.float32)
    return found


def changed_layers_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return view → (B, width) float32 of rows (B, D): the layers of rows that are moved away from themselves."""
    moved = (features - 0.5 * np.roll(features, 5, axis=1)).astype(np.float32)
    return {f"fgsm-0.05-layer-{name}": values for name, values in layers_of(moved).items()}


RUNS = ("s1", "s2")
"""Other training runs, whose features the head of the world reads too."""


def runs_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return run → (B, D) float32 of rows (B, D): each a little of other entries taken off."""
    return {
        name: (features - (0.06 + 0.03 * i) * np.roll(features, 2 + i, axis=1)).astype(np.float32)
        for i, name in enumerate(RUNS)
    }


def views_of(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return the same under the names of caches: layers, views of changed images, runs; (B, width) float32 each."""
    changed = changed_of(features) | numbers_of(features) | changed_layers_of(features)
    return {
        **{f"layer-{name}": values for name, values in (layers_of(features) | spreads_of(features)).items()},
        **{f"view-{name}": values for name, values in changed.items()},
        **{f"run-{name}": values for name, values in runs_of(features).items()},
    }
