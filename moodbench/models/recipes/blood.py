"""BLOOD: how rough the maps from each layer to the next are at an image, from products with their Jacobians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.layers import layer_names
from moodbench.models.recipes.base import MOST, VIEWS, Recipe
from moodbench.models.recipes.dropout import drawn, mixed
from moodbench.models.recipes.seen import Pass
from moodbench.types import Head


@VIEWS.register("blood")
@dataclass(frozen=True)
class BLOOD(Recipe):
    """``|| J_l ||_F^2`` of every layer l but the last: J_l the Jacobian of the next layer with respect to it.

    Of a transformer that predicts from its class token, from that token to that token; else from all places to all.
    The square is the mean over draws of ``|| v^T J_l ||^2`` with v of random signs, which has it as its expectation.

    Parameters
    ----------
    draws : int, default=10
        v for each layer, each a pass back through one layer. The authors take 10 for a ResNet and 15 for a ViT.
    seed : int, default=0
        Of the draws.

    Notes
    -----
    The authors draw v, for transformers also a second vector w for (v^T J w)^2, from the normal distribution. Signs
    and one vector have the same expectation and less variance. A draw is a function of seed, layer and the image's
    number within its dataset. Layers are those that timm names, so the authors' last map of a ResNet, to the logits,
    is not among them.

    References
    ----------
    Jelenić et al., Out-of-Distribution Detection by Leveraging Between-Layer Transformation Smoothness, ICLR 2024,
    arXiv 2310.02832. Reference code: fjelenic/between-layer-ood, cv_models.py: get_grad_layers.
    """

    numbers = True
    paper = "Jelenić et al., ICLR 2024, arXiv 2310.02832"

    draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        self.refuse_outside("draws", 1, 1000)
        self.refuse_outside("seed", 0, MOST)

    def reads(self, network: nn.Module) -> Sequence[str]:
        """Return all layers."""
        return layer_names(network, "--view blood")

    def check(self, network: nn.Module, head: Head | None) -> None:
        """Refuse a network of a single layer."""
        if len(self.reads(network)) < 2:
            raise ModelError(f"{type(network).__name__} has one layer, and the view 'blood' reads maps between layers")

    def compute(self, seen: Pass) -> Tensor:
        """Return the squared norms, (B, layers - 1) float32."""
        layers = [seen.output(name) for name in self.reads(seen.network)]
        by_token = getattr(seen.network, "global_pool", None) == "token"
        columns = []
        for position, (here, after) in enumerate(pairwise(layers)):
            total = torch.zeros(len(seen), device=here.device)
            for draw in range(self.draws):
                v = self._signs(seen, after[:, 0] if by_token else after, position * self.draws + draw)
                with torch.enable_grad():
                    product = ((after[:, 0] if by_token else after).float() * v).sum()
                (back,) = torch.autograd.grad(product, here, retain_graph=True)
                total += (back[:, 0] if by_token else back).float().flatten(1).square().sum(1)
            columns.append(total / self.draws)
        return torch.stack(columns, dim=1)

    def _signs(self, seen: Pass, like: Tensor, draw: int) -> Tensor:
        """Return -1 and 1, of the shape of `like`: of each row by its number."""
        seeds = mixed((seen.numbers + 1) * 2654435761 + self.seed * 40503 + draw * 2246822519)
        thrown = drawn(seeds.to(like.device), like[0].numel()).view(like.shape)
        return torch.where(thrown >= 0, 1.0, -1.0)
