"""NAC: the state of every neuron of a layer, its output times what the prediction's gradient says of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.models.recipes.base import VIEWS
from moodbench.models.recipes.one_layer import OneLayer
from moodbench.models.recipes.seen import Pass


@VIEWS.register("nac")
@dataclass(frozen=True)
class NAC(OneLayer):
    """``(sum_p z_p) * (sum_p d/dz_p KL(u || softmax(l(x))))``, entry by entry: z_p a layer's output at place p.

    Places are tokens (the class token too) or those of a map; u is the uniform distribution.

    Parameters
    ----------
    layer : str, default="all"
        ``all`` or ``every:3`` of the layers that timm names, or names joined by ``+``, of whatever modules
        (``layer3``, ``blocks.11.norm2``). Each is a view of its own.

    Notes
    -----
    Of the last layer nothing needs to be cached: the score knows its gradient from the head. The authors read each
    block of their ViT behind its second norm: ``blocks.11.norm2``.

    References
    ----------
    Liu et al., Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization, ICLR 2024,
    arXiv 2306.02879. Reference code: BierOne/ood_coverage, openood/postprocessors/nac.
    """

    head = True
    numbers = True
    paper = "Liu et al., ICLR 2024, arXiv 2306.02879"

    def compute(self, seen: Pass) -> Tensor:
        """Return the states, (B, D) float32, before any sigmoid."""
        gradients = seen.shared("gradients of KL(u || p)", lambda: _gradients(seen))
        return _summed(seen, seen.output(self.layer)) * _summed(seen, gradients[self.layer])


def _gradients(seen: Pass) -> dict[str, Tensor]:
    """Return the gradients with respect to all outputs that are read, in one pass back."""
    with torch.enable_grad():
        total = -torch.log_softmax(seen.logits(seen.traced), dim=1).mean(dim=1).sum()
    outputs = [seen.output(name) for name in seen.reading]
    return dict(zip(seen.reading, torch.autograd.grad(total, outputs, retain_graph=True), strict=True))


def _summed(seen: Pass, values: Tensor) -> Tensor:
    """Return the sum over places, (B, D) float32."""
    values = values.detach().float()
    if values.ndim == 4:
        return values.sum((1, 2) if getattr(seen.network, "output_fmt", "NCHW") == "NHWC" else (2, 3))
    return values.sum(1) if values.ndim == 3 else values
