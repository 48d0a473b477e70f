"""Gram: how strongly each channel of a layer goes along with the others, in several orders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moodbench.models.recipes.base import VIEWS
from moodbench.models.recipes.one_layer import OneLayer
from moodbench.models.recipes.seen import Pass

HIGHEST = 10
"""The highest order of the paper."""

AT_ONCE = 1 << 22
"""Numbers of a layer that are raised to powers at a time: in float64 the maps of a batch would fill the memory."""


@VIEWS.register("gram")
@dataclass(frozen=True)
class Gram(OneLayer):
    """``G_pi = sign(r) |r|^(1/p), r = sum_j sum_s f_is^p f_js^p`` for orders p = 1, ..., `powers` and all channels i.

    f_is is what a layer has in channel i at place s: of a map, or of the patch tokens (without class token and
    registers). r is the sum of row i of the Gram matrix of f^p. All of order 1 stand before those of order 2.

    Parameters
    ----------
    layer : str, default="all"
        ``all`` or ``every:3`` of the layers that timm names, or names joined by ``+``, of whatever modules
        (``layer3``, ``layer3.0.bn1``). Each is a view of its own.
    powers : int, default=5
        The highest order, at most 10. A view is so many times as wide as its layer.

    Notes
    -----
    The paper has ten orders; `docs/views.md` says what those above the fifth cost and what they gave. The authors read
    every convolution, normalisation and block of a ResNet; timm's names are its stages.

    Where activations have both signs, an odd power keeps them: products cancel, r may be negative, and the root takes
    its sign, as in the authors' program. An even power forgets them. Near r = 0 such a root is steep, so a rounding in
    the sum moves G of a high odd order visibly; sums are float64 for this, and so that no power is too large or small.

    References
    ----------
    Sastry and Oore, Detecting Out-of-Distribution Examples with Gram Matrices, ICML 2020, arXiv 1912.12510.
    Reference code: VectorInstitute/gram-ood-detection, ResNet_Cifar10.ipynb, G_p.
    """

    numbers = True
    paper = "Sastry and Oore, ICML 2020, arXiv 1912.12510"

    powers: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_outside("powers", 1, HIGHEST)

    def compute(self, seen: Pass) -> Tensor:
        """Return the numbers, (B, powers · D) float32."""
        maps = _channels_first(seen.network, seen.output(self.layer).detach())
        size = max(1, AT_ONCE // maps[0].numel())
        return torch.cat([_row_sums(some, self.powers) for some in torch.split(maps, size)])


def _channels_first(network: nn.Module, values: Tensor) -> Tensor:
    """Return what a layer has in each channel at each place, (B, D, places)."""
    if values.ndim == 4:
        colours_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        return (values.movedim(3, 1) if colours_last else values).flatten(2)
    if values.ndim == 3:
        return values[:, int(getattr(network, "num_prefix_tokens", 0) or 0) :].mT
    return values.flatten(1)[:, :, None]


def _row_sums(maps: Tensor, powers: int) -> Tensor:
    """Return the roots of the row sums, (B, powers · D) float32, of maps (B, D, places).

    A sum over j and s in either order is the same, so no Gram matrix is made: D · places products instead of
    D² · places.
    """
    base = maps.double().contiguous()
    power = base.clone()
    found = []
    for order in range(1, powers + 1):
        if order > 1:
            power *= base
        sums = (power @ power.sum(1)[:, :, None])[:, :, 0]
        found.append((sums.sign() * sums.abs() ** (1 / order)).float())
    return torch.cat(found, dim=1)
