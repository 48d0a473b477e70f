"""torchvision's own state dicts: ViT, Swin (v1 and v2) and ConvNeXt; its ResNets have timm's names already.

References
----------
torchvision 0.29, ``models/{vision_transformer,swin_transformer,convnext,resnet}.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import torch
from torch import Tensor, nn

from moodbench.models.formats.base import FORMATS, Format, Rules, State, renamed, without_derived

VIT: Rules = (
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.", r"blocks.\1.norm\2."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_", r"blocks.\1.attn.qkv."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.", r"blocks.\1.mlp.fc1."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.", r"blocks.\1.mlp.fc2."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
)
# Blocks and the steps between them take turns in `features`: 0 stem, 1 blocks, 2 step, 3 blocks, …
SWIN: Rules = (
    (r"^features\.0\.0\.", "patch_embed.proj."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    (r"^features\.(\d*[13579])\.(\d+)\.mlp\.0\.", r"layers.<\1>.blocks.\2.mlp.fc1."),
    (r"^features\.(\d*[13579])\.(\d+)\.mlp\.3\.", r"layers.<\1>.blocks.\2.mlp.fc2."),
    (r"^features\.(\d*[13579])\.(\d+)\.", r"layers.<\1>.blocks.\2."),
    (r"^features\.(\d*[02468])\.", r"layers.<\1>.downsample."),
    (r"^head\.", "head.fc."),
)
CONVNEXT: Rules = (
    (r"^features\.0\.([01])\.", r"stem.\1."),
    (r"^features\.(\d*[13579])\.(\d+)\.layer_scale$", r"stages.<\1>.blocks.\2.gamma"),
    (r"^features\.(\d*[13579])\.(\d+)\.block\.0\.", r"stages.<\1>.blocks.\2.conv_dw."),
    (r"^features\.(\d*[13579])\.(\d+)\.block\.2\.", r"stages.<\1>.blocks.\2.norm."),
    (r"^features\.(\d*[13579])\.(\d+)\.block\.3\.", r"stages.<\1>.blocks.\2.mlp.fc1."),
    (r"^features\.(\d*[13579])\.(\d+)\.block\.5\.", r"stages.<\1>.blocks.\2.mlp.fc2."),
    (r"^features\.(\d*[02468])\.([01])\.", r"stages.<\1>.downsample.\2."),
    (r"^classifier\.0\.", "head.norm."),
    (r"^classifier\.2\.", "head.fc."),
)
MARKS = (("class_token", VIT), ("features.1.0.attn.qkv.weight", SWIN), ("features.1.0.layer_scale", CONVNEXT))
"""A name that only one kind of its networks has."""

_BIAS = re.compile(r"^(layers\.\d+\.blocks\.\d+\.attn\.)qkv\.bias$")


class TorchvisionFormat(Format):
    """Renames by rules; Swin v2's bias is cut into the parts that timm stores."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """One of the names that only torchvision writes."""
        return _rules(keys) is not None and not any(key.startswith("backbone.") for key in keys)

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` under timm's names; a ResNet's are the same."""
        rules = _rules(state.keys()) or ()
        converted: State = {}
        for name, tensor in without_derived(state, network).items():
            converted |= _parts(_rename(name, rules), tensor, network)
        return converted


def _rules(keys: Collection[str]) -> Rules | None:
    return next((rules for mark, rules in MARKS if mark in keys), None)


def _rename(name: str, rules: Rules) -> str:
    # place 1 holds the blocks of stage 0; 2 the step to stage 1, and 3 its blocks; …
    return re.sub(r"<(\d+)>", lambda match: str(int(match[1]) // 2), renamed(name, rules))


def _parts(name: str, tensor: Tensor, network: nn.Module) -> State:
    """Return the tensor as timm stores it: a ConvNeXt scale as a vector, a Swin v2 bias without that of the keys."""
    if name.endswith(".gamma"):
        return {name: tensor.flatten()}
    bias = _BIAS.match(name)
    if bias is None or name in network.state_dict():
        return {name: tensor}
    query, key, value = tensor.chunk(3)
    parts = {f"{bias[1]}q_bias": query, f"{bias[1]}v_bias": value}
    # torchvision stores numbers for the keys and multiplies them by zero; what is stored is not used
    return (
        parts
        if f"{bias[1]}k_bias" not in network.state_dict()
        else {**parts, f"{bias[1]}k_bias": torch.zeros_like(key)}
    )


FORMATS.register("torchvision")(TorchvisionFormat())
