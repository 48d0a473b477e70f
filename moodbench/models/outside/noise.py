"""Pictures to try a network on before there are real ones."""

from __future__ import annotations

import torch
from torch import Tensor


def pictures_of_noise(side: int, count: int = 2) -> Tensor:
    """Return (count, 3, side, side) float32 of normal noise, the same ones each time, no two alike."""
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
