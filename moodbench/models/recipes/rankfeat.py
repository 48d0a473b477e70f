"""RankFeat: maps of the last layers without their rank-1 part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.recipes.base import VIEWS, Recipe
from moodbench.models.recipes.seen import Pass
from moodbench.models.recipes.stages import channels_last, last_stages, matrix_of
from moodbench.types import Head

CHOICES = ("published", "last", "previous", "both")


@VIEWS.register("rankfeat")
@dataclass(frozen=True)
class RankFeat(Recipe):
    """``X' = X - s_1 u_1 v_1^T``: the largest singular value of a layer's map X (channels by places) is taken out.

    Parameters
    ----------
    layers : {"published", "last", "previous", "both"}, default="published"
        The map of the last stage, of the stage (of transformers: the block) before it, or first the one and then the
        other, and the mean of both features. ``published``: both of networks whose maps have their channels first, as
        ResNets have; the previous one of transformers.

    Notes
    -----
    Two more forward passes where both are taken, otherwise one, and a singular vector of each map, which costs about
    half a pass of a ViT-S/16 (CPU); no gradients. A linear head makes of the mean of two features the mean of their
    logits, which is the program's fusion. Of transformers all tokens make up X, class token and registers among them.
    The singular vector is that of the exact decomposition, found as an eigenvector of the smaller of X^T X and X X^T in
    float64; the program's power iteration of twenty steps, which it starts at random, is not offered.

    References
    ----------
    Song et al., RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection, NeurIPS 2022, arXiv 2209.08590.
    Reference code: KingJamesSong/RankFeat, test_ood_resnetv2.py, test_ood_vit.py and test_ood_swin.py,
    iterate_data_rankfeat.
    """

    gradients = False
    paper = "Song et al., NeurIPS 2022, arXiv 2209.08590"

    layers: str = "published"

    def __post_init__(self) -> None:
        self.refuse_unless(self.layers in CHOICES, "layers", "must be published, last, previous or both")

    def check(self, network: nn.Module, head: Head | None) -> None:
        """Refuse a network that does not name its last two stages."""
        last_stages(network, "rankfeat")

    def compute(self, seen: Pass) -> Tensor:
        """Return the features that follow from the changed maps."""
        previous, last = last_stages(seen.network, "rankfeat")
        with torch.inference_mode():
            found = []
            maps: list[bool] = []
            if self.layers != "last":
                found.append(self._without(seen, previous, maps))
            if self.layers in ("last", "both") or (self.layers == "published" and all(maps)):
                found.append(self._without(seen, last, maps))
            return torch.stack(found).mean(0)

    def _without(self, seen: Pass, name: str, maps: list[bool]) -> Tensor:
        with _replaced(seen.network, name, maps):
            return seen.forward()


@contextmanager
def _replaced(network: nn.Module, name: str, maps: list[bool]) -> Iterator[None]:
    """Let a module of a network return its output without the rank-1 part.

    Whether that is a map with its channels first is added to `maps`.
    """

    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        values = output[0] if isinstance(output, (tuple, list)) else output
        if values.ndim not in (3, 4):
            raise ModelError(
                f"the layer '{name}' of {type(network).__name__} returns {tuple(values.shape)}, and the view "
                "'rankfeat' changes maps of channels by places",
                fix="leave --view out",
            )
        maps.append(values.ndim == 4 and not channels_last(network))
        changed = _without_largest(matrix_of(values, network)).reshape(values.shape).to(values.dtype)
        return (changed, *output[1:]) if isinstance(output, (tuple, list)) else changed

    handle = network.get_submodule(name).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _without_largest(maps: Tensor) -> Tensor:
    """Return matrices (B, M, N) without the part of their largest singular value."""
    x = maps.double()
    if x.shape[1] < x.shape[2]:
        return _without_largest(maps.mT).mT
    _, vectors = torch.linalg.eigh(x.mT @ x)
    largest = vectors[..., -1:]
    rest: Tensor = x - (x @ largest) @ largest.mT
    return rest
