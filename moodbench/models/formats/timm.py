"""Checkpoints whose names are timm's already."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from moodbench.models.formats.base import FORMATS, PLAIN, Format, State, without_derived


class TimmFormat(Format):
    """Nothing is renamed; tensors that timm derives from the architecture are dropped."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """Everything that no other format claims is tried as it is."""
        return True

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` without the derived tensors that `network` does not store."""
        return without_derived(state, network)


FORMATS.register(PLAIN)(TimmFormat())
