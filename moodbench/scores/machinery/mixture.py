"""What several predictions of one image agree on: of passes with dropout, or of the members of an ensemble."""

from __future__ import annotations

import torch
from torch import Tensor


def mixture_confidence(p: Tensor) -> Tensor:
    """Return ``max_k mean_t p_tk``, (B,), of probabilities (T, B, C) float64."""
    return p.mean(dim=0).amax(dim=1)


def mixture_information(p: Tensor) -> Tensor:
    """Return ``mean_t H(p_t) - H(mean_t p_t)``, (B,): minus the mutual information of class and t; p (T, B, C)."""
    return _entropy(p).mean(dim=0) - _entropy(p.mean(dim=0))


def _entropy(p: Tensor) -> Tensor:
    found: Tensor = torch.special.entr(p).sum(dim=-1)
    return found
