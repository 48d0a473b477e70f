"""Whether a picture gets the same features whatever else is in its batch, and each time that it is shown."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from moodbench.errors import ModelError

ROUNDING = 5e-3
"""Largest difference that sums in another order may make, relative to the largest feature: in float32 deep networks
differ by up to 1e-4 between batches of other sizes, in half precision by 1e-3, and by statistics of the batch by
tenths."""

PALE = 0.1
"""Contrast of the other pictures, whose means and deviations are then far from those of the first."""


def check_rows(features: Callable[[Tensor], Tensor], images: Tensor, name: str) -> None:
    """Refuse a network whose features of a picture are not the picture's alone.

    Parameters
    ----------
    features : callable
        (B, 3, H, W) float32 → (B, D).
    images : (N, 3, H, W) float32
        Two or more.
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        They are others each time, or depend on the other pictures of the batch.
    """
    batch = torch.cat([images[:1], PALE * images[1:] + 1])
    with torch.no_grad():
        alone, among, again = (features(one)[:1].float() for one in (images[:1], batch, batch))
    largest = float(alone.abs().max())
    if not _near(among, again, largest):
        raise ModelError(
            f"the features of '{name}' are other numbers each time that it is shown the same picture",
            fix="something in it is left to chance (dropout, masks) though it is in evaluation mode: switch it off",
        )
    if not _near(alone, among, largest):
        share = float((alone - among).abs().max()) / largest if largest else 1.0
        raise ModelError(
            f"the features of '{name}' depend on the other pictures of the batch: alone, a picture gets numbers that "
            f"differ by {share:.2g} of the largest",
            fix="something normalises by the batch though the network is in evaluation mode (batch norm without "
            "running statistics, train() called on its way): use the statistics of training",
        )


def _near(one: Tensor, other: Tensor, largest: float) -> bool:
    return one.shape == other.shape and float((one - other).abs().max()) <= ROUNDING * largest
