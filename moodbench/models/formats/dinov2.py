"""DINOv2's own backbones (``dinov2_vitb14_pretrain.pth``, …), with registers and without, at any image size.

References
----------
facebookresearch/dinov2 b8931f7, ``dinov2/models/vision_transformer.py`` and ``dinov2/hub/backbones.py``: position
tables are brought to another grid bicubically; without registers by a scale factor that has 0.1 patches added, without
antialias; with registers to the exact size, with antialias.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.models.formats.base import FORMATS, Format, State

OFFSET = 0.1
_RENAMED = (("register_tokens", "reg_token"), (".mlp.w12.", ".mlp.fc1."), (".mlp.w3.", ".mlp.fc2."))


class DinoV2Format(Format):
    """Renames, folds the class token's position where timm keeps none, and resamples positions as the source does."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """The mask token beside LayerScale and a position table; DINOv3 has no table."""
        return {"mask_token", "pos_embed", "blocks.0.ls1.gamma"} <= set(keys)

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` under timm's names, its positions for the grid of `network`."""
        renamed = {_rename(name): tensor for name, tensor in state.items() if name != "mask_token"}
        net: Any = network
        if "pos_embed" not in renamed or getattr(net, "pos_embed", None) is None:
            return renamed
        table = renamed["pos_embed"]
        prefix = table.shape[1] - math.isqrt(table.shape[1]) ** 2
        classes, patches = table[:, :prefix], table[:, prefix:]
        patches = _resample(patches, net.patch_embed.grid_size, official_offset=not net.num_reg_tokens)
        if net.no_embed_class and prefix:
            renamed["cls_token"] = renamed["cls_token"] + classes
            classes = classes[:, :0]
        renamed["pos_embed"] = torch.cat((classes, patches), dim=1)
        return renamed

    def resampling(self, network: nn.Module) -> str:
        """Return what the source does for this kind of network."""
        net: Any = network
        how = "antialias" if net.num_reg_tokens else f"no antialias, offset {OFFSET}"
        return f"bicubic, {how} (DINOv2)"


def _rename(name: str) -> str:
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return name


def _resample(patches: Tensor, grid: tuple[int, int], *, official_offset: bool) -> Tensor:
    """Return a position table (1, side², D) for another grid of patches; unchanged if it is the same."""
    side = math.isqrt(patches.shape[1])
    if (side, side) == tuple(grid):
        return patches
    image = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    if official_offset:
        scale = [(length + OFFSET) / side for length in grid]
        image = nn.functional.interpolate(image, scale_factor=scale, mode="bicubic", antialias=False)
    else:
        image = nn.functional.interpolate(image, size=list(grid), mode="bicubic", antialias=True)
    return image.permute(0, 2, 3, 1).reshape(1, grid[0] * grid[1], -1).to(patches.dtype)


FORMATS.register("dinov2")(DinoV2Format())
