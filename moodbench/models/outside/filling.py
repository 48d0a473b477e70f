"""Weights of a file into a network that somebody else's library built: every tensor of either is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.checkpoint import read_checkpoint
from moodbench.models.contents import common_prefixes
from moodbench.models.misfit import first

Build = Callable[[int | None], nn.Module]
"""Number of classes, or None for that of its own → network without weights."""


def filled(build: Build, file: Path, key: str | None, name: str) -> tuple[nn.Module, str]:
    """Return the network with the weights of a file, and where they are from.

    What all names begin with is taken off where the tensors fit without it, and a classifier becomes as large as that
    of the file.

    Parameters
    ----------
    build : callable
    file : Path
    key : str, optional
        Which part of the file; see `moodbench.models.checkpoint.read_checkpoint`.
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        The file cannot be read, or its tensors are not exactly those of the network.
    """
    checkpoint = read_checkpoint(file, key)
    network = build(None)
    fewest: dict[str, list[str]] | None = None
    for prefix in ("", *common_prefixes(checkpoint.tensors.keys())):
        state = {one.removeprefix(prefix): tensor for one, tensor in checkpoint.tensors.items()}
        classes = _classes(network, state)
        shaped = network if classes is None else build(classes)
        faults = _faults(shaped, state)
        if not faults:
            _load(shaped, state)
            return shaped, f"file {checkpoint.source(prefix)}"
        if fewest is None or _count(faults) < _count(fewest):
            fewest = faults
    said = "; ".join(f"{kind}: {len(names)} ({first(names)})" for kind, names in (fewest or {}).items())
    raise ModelError(
        f"the checkpoint does not fit '{name}' ({type(network).__name__}): tensors {said}",
        file=file,
        fix="name the architecture that it was trained with; of several networks in one file, or of a part of one, "
        "--checkpoint-key says which",
    )


def _load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load tensors that are those of the network, as of the version of its layers that is built today."""
    whole = network.state_dict()  # carries the versions, which MNASNet refuses to do without
    with torch.no_grad():
        for name, tensor in state.items():
            whole[name] = tensor
    network.load_state_dict(whole, strict=True)


def _classes(network: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """Return the classes of a file whose tensors differ from the network's in that number alone."""
    wanted = network.state_dict()
    pairs = [(wanted[name].shape, one.shape) for name, one in state.items() if name in wanted]
    other = [(ours, theirs) for ours, theirs in pairs if ours != theirs]
    if not other or any(not a or not b or a[1:] != b[1:] for a, b in other):
        return None
    numbers = {(ours[0], theirs[0]) for ours, theirs in other}
    return int(next(iter(numbers))[1]) if len(numbers) == 1 else None


def _faults(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    wanted = network.state_dict()
    shapes = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    found = {
        "missing": [name for name in wanted if name not in state],
        "unexpected": [name for name in state if name not in wanted],
        "of another shape": shapes,
    }
    return {kind: names for kind, names in found.items() if names}


def _count(faults: Mapping[str, list[str]]) -> int:
    return sum(map(len, faults.values()))
