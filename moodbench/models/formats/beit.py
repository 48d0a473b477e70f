"""Microsoft's own BEiT and BEiT v2 files, and what was trained with that code (data2vec): fine-tuned or pretraining.

The names are timm's. Pretraining files share one table of relative positions among all blocks; fine-tuned ones, and
timm's network, have one for each block.

References
----------
microsoft/unilm, ``beit/modeling_finetune.py``, ``modeling_pretrain.py`` and ``run_class_finetuning.py``, which copies
the shared table to every block in the same way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

from moodbench.models.formats.base import FORMATS, Format, State, without, without_derived

SHARED = "rel_pos_bias.relative_position_bias_table"
PRETRAINING = ("lm_head.", "mask_token", "cls_pt_layers.")


class BeitFormat(Format):
    """Gives every block the shared table, and drops what only the pretraining needed."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """The index of relative positions, which timm does not store, in a block or shared, beside BEiT's biases."""
        index = {"blocks.0.attn.relative_position_index", "rel_pos_bias.relative_position_index"} & set(keys)
        return bool(index) and "blocks.0.attn.q_bias" in keys

    def convert(self, state: State, network: nn.Module) -> State:
        """Return the tensors of the network; the shared table stays where `network` shares one too."""
        kept = without_derived(without(state, PRETRAINING), network)
        net: Any = network
        if SHARED in kept and getattr(net, "rel_pos_bias", None) is None:
            table = kept.pop(SHARED)
            for number in range(len(getattr(net, "blocks", ()))):
                kept[f"blocks.{number}.attn.relative_position_bias_table"] = table.clone()
        return kept


FORMATS.register("beit")(BeitFormat())
