"""ResNets for small pictures as OpenOOD saves them, and others do: the way around a block is called `shortcut`.

For `moodbench.models.small_resnet`; all other names are timm's.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import nn

from moodbench.models.formats.base import FORMATS, Format, State

_SHORTCUT = re.compile(r"^(layer\d\.\d+\.)shortcut\.")


class OpenoodFormat(Format):
    """Renames the way around a block."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """A block with a shortcut, and none of a wide ResNet's names."""
        return "layer2.0.shortcut.0.weight" in keys and "layer1.0.conv1.weight" in keys

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` under timm's names; of another network, whose names fit nowhere, as it is."""
        if not hasattr(network, "layer4"):
            return state
        return {_SHORTCUT.sub(r"\1downsample.", name): tensor for name, tensor in state.items()}


FORMATS.register("openood")(OpenoodFormat())
