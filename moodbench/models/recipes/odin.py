"""ODIN: each pixel one small step towards what the network predicts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.models.recipes.base import COLDEST, IN_PIXELS, MOST, VIEWS, Recipe
from moodbench.models.recipes.seen import Pass, of_predicted


@VIEWS.register("odin")
@dataclass(frozen=True)
class ODIN(Recipe):
    """``x' = x - eps * sign(d/dx -log max_k softmax(l(x) / T)_k) / std``.

    Parameters
    ----------
    eps : float, default=0.0014
        The step, in pixels on a scale from 0 to 1: it is divided by the standard deviation that the transform has
        divided them by.
    temperature : float, default=1000
        T.

    Notes
    -----
    As in the authors' program, a gradient that is exactly zero counts as positive: such a pixel becomes darker.

    References
    ----------
    Liang et al., Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks, ICLR 2018,
    arXiv 1706.02690, equation 2. OpenOOD v1.5's values of eps and T.
    """

    head = True
    layered = True
    paper = "Liang et al., ICLR 2018, arXiv 1706.02690"

    eps: float = 0.0014
    temperature: float = 1000.0

    def __post_init__(self) -> None:
        self.refuse_outside("eps", 0, 1, IN_PIXELS)
        self.refuse_outside("temperature", COLDEST, MOST)

    def compute(self, seen: Pass) -> Tensor:
        """Return the features of the changed pictures."""
        gradient = seen.gradient(lambda features: self.surprise(seen.logits(features)))
        return seen.forward(seen.images - self.eps * rising(gradient) / seen.std)

    def surprise(self, logits: Tensor) -> Tensor:
        """Return ``-log max_k softmax(l / T)_k`` of logits (B, C): (B,)."""
        return -of_predicted(torch.log_softmax(logits / self.temperature, dim=1))


def rising(gradient: Tensor) -> Tensor:
    """Return 1 where a gradient is positive or zero, and -1 where it is negative."""
    return torch.where(gradient >= 0, 1.0, -1.0)
