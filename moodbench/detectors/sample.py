"""Small arrays to try a detector on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Example = tuple[Floats, NDArray[np.int64], tuple[Floats, Floats], Floats, Floats]


def example() -> Example:
    """Return ID train rows with labels, a head, unseen ID rows and OOD rows.

    Returns
    -------
    train : (240, 16) float32
        ID rows of four classes.
    labels : (240,) int64
        Their classes.
    head : ((4, 16), (4,)) float32
        A linear layer that tells them apart.
    unseen : (60, 16) float32
        ID rows of the same classes.
    far : (40, 16) float32
        OOD rows.
    """
    rng = np.random.default_rng(0)
    centres = np.abs(rng.normal(size=(4, 16))) * 2
    labels = np.arange(300) % 4
    rows = np.abs(centres[labels] + 0.9 * rng.normal(size=(300, 16))).astype(np.float32)
    far = np.abs(centres.mean(axis=0) + 0.7 * rng.normal(size=(40, 16))).astype(np.float32)
    weight = (centres - centres.mean(axis=0)).astype(np.float32)
    bias = (-0.5 * (weight * (centres + centres.mean(axis=0))).sum(axis=1)).astype(np.float32)
    return rows[:240], labels[:240], (weight, bias), rows[240:], far
