"""The registry of checkpoint formats, and how one is recognised."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.registry import Registry

State = dict[str, Tensor]
"""Names → tensors, as in ``Module.state_dict()``."""

PLAIN = "timm"
"""The format assumed when no other recognises the names."""

Rules = tuple[tuple[str, str], ...]
"""Patterns of names and what takes their place, tried in order."""

DERIVED = ("relative_position_index", "relative_coords_table")
"""Last parts of the names of tensors that follow from the architecture, and that timm keeps out of the state dict."""


class Format:
    """Turns the tensors of one project's files into those that timm's network expects. Registered as an instance."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """Say whether these names are written by that project.

        `architecture` is what its training script called the network, where the file says so.
        """
        return False

    def convert(self, state: State, network: nn.Module) -> State:
        """Return `state` under timm's names for `network`; what cannot be renamed keeps its name.

        Raises
        ------
        ModelError
            The tensors would load, but `network` would compute something else than the one they were trained in.
        """
        raise NotImplementedError

    def resampling(self, network: nn.Module) -> str:
        """Return in words how this format brings position tables to another grid. By default timm does it."""
        return "bicubic, antialias (timm)"


FORMATS: Registry[Format] = Registry("checkpoint format", package="moodbench.models.formats")


def detect_format(keys: Collection[str], architecture: str | None = None) -> str:
    """Return the name of the format that the names of a checkpoint's tensors belong to.

    Raises
    ------
    ModelError
        More than one format claims them.
    """
    found = [name for name in FORMATS if name != PLAIN and FORMATS.get(name).matches(keys, architecture)]
    if len(found) > 1:
        raise ModelError(
            f"the checkpoint could be of the formats {' and '.join(found)}", fix="say which one with 'format'"
        )
    return found[0] if found else PLAIN


def renamed(name: str, rules: Rules) -> str:
    """Return `name` by the first of `rules` that fits it, or unchanged."""
    for pattern, replacement in rules:
        found, hits = re.subn(pattern, replacement, name)
        if hits:
            return found
    return name


def without_derived(state: State, network: nn.Module) -> State:
    """Return `state` without the tensors that follow from the architecture and that `network` does not store."""
    stored = network.state_dict().keys()
    return {name: t for name, t in state.items() if name in stored or name.rpartition(".")[2] not in DERIVED}


def without(state: State, prefixes: Iterable[str]) -> State:
    """Return `state` without the tensors whose names begin with one of `prefixes`."""
    begin = tuple(prefixes)
    return {name: tensor for name, tensor in state.items() if not name.startswith(begin)}
