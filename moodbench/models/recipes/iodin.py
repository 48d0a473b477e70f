"""IODIN: ODIN's step at one number of the picture alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.models.recipes.base import VIEWS
from moodbench.models.recipes.odin import ODIN, rising
from moodbench.models.recipes.seen import Pass


@VIEWS.register("iodin")
@dataclass(frozen=True)
class IODIN(ODIN):
    """As `odin`, at the one number (of a pixel's three) where the gradient is largest.

    ``x'_i = x_i - eps * sign(g_i) / std_i`` for i = argmax_j |g_j|, with g = d/dx -log max_k softmax(l(x) / T)_k.

    Parameters
    ----------
    eps : float, default=0.0014
        The step, in pixels on a scale from 0 to 1.
    temperature : float, default=1000
        T.

    References
    ----------
    Regmi, Going Beyond Conventional OOD Detection, arXiv 2411.10794 (i-ODIN). Reference code: Jingkang50/OpenOOD,
    openood/postprocessors/iodin_postprocessor.py, whose values of eps and T these are.
    """

    paper = "Regmi, arXiv 2411.10794"

    def compute(self, seen: Pass) -> Tensor:
        """Return the features of the changed pictures."""
        gradient = seen.gradient(lambda features: self.surprise(seen.logits(features)))
        step = self.eps * rising(gradient) / seen.std
        strongest = gradient.abs().flatten(1).argmax(1, keepdim=True)
        chosen = torch.zeros_like(step.flatten(1)).scatter_(1, strongest, 1.0).view(step.shape)
        return seen.forward(seen.images - step * chosen)
