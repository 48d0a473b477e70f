"""FGSM: each pixel one step away from what the network predicts, an adversarial picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.models.recipes.base import IN_PIXELS, VIEWS, Recipe
from moodbench.models.recipes.odin import rising
from moodbench.models.recipes.seen import Pass, of_predicted


@VIEWS.register("fgsm")
@dataclass(frozen=True)
class FGSM(Recipe):
    """``x' = x + eps * sign(d/dx -log max_k softmax(l(x))_k) / std``, and colours stay between black and white.

    Parameters
    ----------
    eps : float, default=0.05
        The step, in pixels on a scale from 0 to 1: it is divided by the standard deviation that the transform has
        divided them by.

    Notes
    -----
    The loss is that of the predicted class, so no label is read; the authors of `maha_layers` take the true one, and
    keep the pictures of which the prediction becomes wrong. As in their program a gradient that is exactly zero counts
    as positive. They clamp to the darkest and brightest number of all three colours, here each has its own.

    References
    ----------
    Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015, arXiv 1412.6572. The step is that of
    Lee et al., NeurIPS 2018, arXiv 1807.03888: pokaxpoka/deep_Mahalanobis_detector, ADV_Samples.py.
    """

    head = True
    layered = True
    paper = "Goodfellow et al., ICLR 2015, arXiv 1412.6572"

    eps: float = 0.05

    def __post_init__(self) -> None:
        self.refuse_outside("eps", 0, 1, IN_PIXELS)

    def compute(self, seen: Pass) -> Tensor:
        """Return the features of the changed pictures."""
        gradient = seen.gradient(lambda features: -of_predicted(torch.log_softmax(seen.logits(features), dim=1)))
        return seen.forward(seen.clamped(seen.images + self.eps * rising(gradient) / seen.std))
