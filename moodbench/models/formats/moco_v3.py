"""MoCo v3's own files: linear-probe checkpoints (the whole network with head) and pretraining checkpoints.

The names are timm's. In a pretraining file the encoder lies below ``base_encoder.`` and ends in a projector, which is
no classifier and is left out: the result has no head.

References
----------
facebookresearch/moco-v3 c349e6e, ``vits.py`` and ``main_lincls.py``: its ViT-S has 12 heads, timm's has 6. The shapes
are the same, so the weights would load, and all numbers would be wrong.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

from moodbench.errors import ModelError
from moodbench.models.formats.base import FORMATS, Format, State, without

ENCODER = "base_encoder."
PROJECTORS = ("head.", "fc.")
ARCHITECTURES = ("vit_small", "vit_base", "vit_conv_small", "vit_conv_base")
"""What its scripts write as ``arch`` (beside ``resnet50``, whose names and numbers are torchvision's and timm's)."""

HEADS = 12
"""Attention heads of all its ViTs."""


class MocoV3Format(Format):
    """Takes the encoder out of a pretraining file, and checks the number of attention heads."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """An encoder, or the name of one of its architectures beside tensors with timm's names."""
        return any(key.startswith(ENCODER) for key in keys) or (architecture in ARCHITECTURES and "pos_embed" in keys)

    def convert(self, state: State, network: nn.Module) -> State:
        """Return the encoder's tensors, or all of a linear-probe file."""
        _check_heads(network)
        encoder = {name.removeprefix(ENCODER): t for name, t in state.items() if name.startswith(ENCODER)}
        return without(encoder, PROJECTORS) if encoder else dict(state)


def _check_heads(network: nn.Module) -> None:
    blocks: Any = getattr(network, "blocks", None)
    if not blocks:  # the ResNets
        return
    heads = blocks[0].attn.num_heads
    if heads != HEADS:
        raise ModelError(
            f"the ViTs of MoCo v3 have {HEADS} attention heads, the network as built has {heads}: "
            "the weights would load, and every number would be wrong",
            fix=f"add args: {{num_heads: {HEADS}}}",
        )


FORMATS.register("moco_v3")(MocoV3Format())
