"""AdaSCALE's picture: the numbers that matter least to the prediction, pushed where they would raise it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.models.recipes.base import NORMALISED, STEP, VIEWS, Recipe
from moodbench.models.recipes.seen import Pass, of_predicted


@VIEWS.register("adascale")
@dataclass(frozen=True)
class AdaSCALE(Recipe):
    """``x'_i = x_i + eps * sign(g_i)`` for the share of numbers with the smallest |g_i|, with g = d/dx max_k l_k(x).

    Parameters
    ----------
    share : float, default=0.05
        Of the 3 H W numbers of a picture; rounded down.
    eps : float, default=0.5
        The step, in pixels as the network sees them: divided by the standard deviation already.

    Notes
    -----
    A gradient that is exactly zero belongs to the smallest, and nothing is added there. All numbers that are as small
    as the last of the share belong to it.

    References
    ----------
    Regmi, AdaSCALE: adaptive scaling for OOD detection, arXiv 2503.08023. Reference code:
    Jingkang50/OpenOOD, openood/postprocessors/adascale_postprocessor.py, perturb.
    """

    head = True
    layered = True
    paper = "Regmi, arXiv 2503.08023"

    share: float = 0.05
    eps: float = 0.5

    def __post_init__(self) -> None:
        self.refuse_outside("share", 0, 1)
        self.refuse_outside("eps", 0, STEP, NORMALISED)

    def compute(self, seen: Pass) -> Tensor:
        """Return the features of the changed pictures."""
        gradient = seen.gradient(lambda features: of_predicted(seen.logits(features)))
        size = gradient.abs().flatten(1)
        count = int(size.shape[1] * self.share)
        if not count:
            return seen.forward()
        last = size.kthvalue(count, dim=1).values.view(-1, 1, 1, 1)
        step = torch.where(gradient.abs() <= last, gradient.sign(), 0.0)
        return seen.forward(seen.images + self.eps * step)
