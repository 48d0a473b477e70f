"""OpenMMLab's mmpretrain (also mmclassification and mmselfsup 1.x): ViT, BEiT, Swin and ResNet classifiers.

References
----------
mmpretrain 1.2.0, ``models/backbones/{vision_transformer,beit,swin_transformer,resnet}.py`` and ``models/heads``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor, nn

from moodbench.models.formats.base import DERIVED, FORMATS, Format, Rules, State, renamed

# Tried in order, the first that fits wins: `ln1` and `ln2` mean one thing in a layer and another directly below it.
VIT: Rules = (
    (r"^backbone\.patch_embed\.projection\.", "patch_embed.proj."),
    (r"^backbone\.layers\.(\d+)\.ln([12])\.", r"blocks.\1.norm\2."),
    (r"^backbone\.layers\.(\d+)\.attn\.gamma1\.weight$", r"blocks.\1.ls1.gamma"),
    (r"^backbone\.layers\.(\d+)\.ffn\.gamma2\.weight$", r"blocks.\1.ls2.gamma"),
    (r"^backbone\.layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"^backbone\.layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"^backbone\.layers\.", "blocks."),
    (r"^backbone\.ln1\.", "norm."),
    (r"^backbone\.ln2\.", "fc_norm."),
    (r"^backbone\.", ""),
    (r"^head\.(fc|layers\.head)\.", "head."),
)
SWIN: Rules = (
    (r"^backbone\.patch_embed\.projection\.", "patch_embed.proj."),
    (r"^backbone\.stages\.(\d+)\.blocks\.(\d+)\.attn\.w_msa\.", r"layers.\1.blocks.\2.attn."),
    (r"^backbone\.stages\.(\d+)\.blocks\.(\d+)\.ffn\.layers\.0\.0\.", r"layers.\1.blocks.\2.mlp.fc1."),
    (r"^backbone\.stages\.(\d+)\.blocks\.(\d+)\.ffn\.layers\.1\.", r"layers.\1.blocks.\2.mlp.fc2."),
    (r"^backbone\.stages\.", "layers."),
    (r"^backbone\.norm3\.", "norm."),
    (r"^backbone\.", ""),
)
RESNET: Rules = ((r"^backbone\.", ""), (r"^head\.fc\.", "fc."))

PRETRAINING = ("backbone.head.", "head.last_layer", "student.", "teacher.")
"""Names that other projects write beside a ``backbone.``."""

_DOWNSAMPLE = re.compile(r"^layers\.(\d+)\.downsample\.")


class MmpretrainFormat(Format):
    """Renames by rules; Swin's patch merging also moves one stage on and has its input channels reordered."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """A backbone of one of the known kinds below ``backbone.``."""
        return _rules(keys) is not None and not any(key.startswith(PRETRAINING) for key in keys)

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` under timm's names, without the tensors that timm derives from the architecture."""
        rules = _rules(state.keys()) or VIT
        kept = {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in DERIVED}
        moved = {renamed(name, rules): tensor for name, tensor in kept.items()}
        return dict(_move_merging(*item) for item in moved.items()) if rules is SWIN else moved


def _rules(keys: Collection[str]) -> Rules | None:
    for prefix, rules in (("backbone.layers.", VIT), ("backbone.stages.", SWIN), ("backbone.layer1.", RESNET)):
        if any(key.startswith(prefix) for key in keys):
            return rules
    return None


def _move_merging(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """Carry a patch-merging tensor from the end of one stage to the start of the next.

    The 4·C channels of a merged 2×2 patch are counted (channel, row, column) in the source, (column, row, channel) in
    timm.
    """
    match = _DOWNSAMPLE.match(name)
    if match is None:
        return name, tensor
    *outer, width = tensor.shape
    patches = tensor.reshape(*outer, width // 4, 2, 2)
    tensor = patches.transpose(-1, -3).reshape(*outer, width)
    return f"layers.{int(match[1]) + 1}.{name.split('.', 2)[2]}", tensor


FORMATS.register("mmpretrain")(MmpretrainFormat())
