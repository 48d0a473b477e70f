"""DINO (v1) and iBOT: backbones alone, and training checkpoints, of which the teacher is taken.

The names are timm's. The projection head of the training and iBOT's token for hidden patches are no part of the
network; the result has no classifier.

References
----------
facebookresearch/dino, ``utils.MultiCropWrapper`` (``backbone.``, ``head.``) and ``main_dino.py``; bytedance/ibot.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from moodbench.models.formats.base import FORMATS, Format, State, without

PROJECTION = ("head.mlp.", "head.last_layer", "head.last_layer2")
HIDDEN = ("masked_embed", "mask_token")


class DinoFormat(Format):
    """Drops what only the training needed."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """The projection head, or iBOT's token for hidden patches."""
        bare = [key.removeprefix("backbone.") for key in keys]
        return any(key.startswith(PROJECTION) for key in bare) or "masked_embed" in bare

    def convert(self, state: State, network: nn.Module) -> State:
        """Return the backbone's tensors."""
        bare = {name.removeprefix("backbone."): tensor for name, tensor in state.items()}
        return without(bare, (*PROJECTION, *HIDDEN))


FORMATS.register("dino")(DinoFormat())
