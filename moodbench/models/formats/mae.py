"""MAE's own files: fine-tuned networks (timm's names already) and pretraining checkpoints without their decoder.

References
----------
facebookresearch/mae, ``models_vit.py`` (fine-tuned: mean of the patch tokens, then ``fc_norm``, so timm's network needs
``global_pool: avg``) and ``models_mae.py`` (pretraining: ``norm`` on all tokens).
"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from moodbench.models.formats.base import FORMATS, Format, State, without

DECODER = ("decoder_", "mask_token")


class MaeFormat(Format):
    """Drops the decoder; nothing is renamed."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """The decoder of a pretraining file. A fine-tuned one cannot be told from timm's own, and need not."""
        return "decoder_pos_embed" in keys

    def convert(self, state: State, network: nn.Module) -> State:
        """Return the encoder's tensors, with the head where there is one."""
        return without(state, DECODER)


FORMATS.register("mae")(MaeFormat())
