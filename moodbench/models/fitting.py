"""Weights from a file into a network: every tensor of the network is loaded and every tensor of the file is used."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models.build import classifier_names, create
from moodbench.models.checkpoint import read_checkpoint
from moodbench.models.formats.base import FORMATS, Format, State, detect_format

_NORMS = ("norm.", "fc_norm.")
_SHOWN = 5  # how many tensor names a message lists before it only counts

POSITION_TABLES = ("pos_embed", "relative_position_bias_table", "rel_pos_h", "rel_pos_w")
"""Last parts of the names of tensors that are resampled to another image size. No other tensor ever is."""

# timm takes these out of a file without a word: a layer between the pooled token and the classifier.
_DROPPED_BY_TIMM = ("pre_logits",)


@dataclass(frozen=True)
class Loaded:
    """A network with its weights, and in words where they are from.

    Attributes
    ----------
    network : Module
    source : str
    format : str or None
        None: timm's own weights.
    adapted : bool
        They went through timm's own conversion for the architecture.
    resampled : str or None
        How position tables were brought to another image size, where they were.
    """

    network: nn.Module
    source: str
    format: str | None = None
    adapted: bool = False
    resampled: str | None = None


def load_file(spec: ModelSpec, file: Path, format: str | None, headed: bool) -> Loaded:
    """Return the network of `spec` with the weights of `file`.

    Parameters
    ----------
    spec : ModelSpec
    file : Path
    format : str or None
        None: found out from the names of the tensors.
    headed : bool
        False: the network gets no classifier, whether the file has one or not.

    Raises
    ------
    ModelError
        The file cannot be read, or its tensors are not exactly those of the network.
    """
    checkpoint = read_checkpoint(file)
    if format is None:
        format = detect_format(checkpoint.tensors.keys(), checkpoint.architecture)
    network, classifier = _empty(spec, headed)
    writer = FORMATS.get(format)
    state = writer.convert(checkpoint.tensors, network)
    if headed:
        _agree_on_classes(network, state, spec)
    else:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(classifier)}
    faults = _faults(network, state)
    if not faults:
        network.load_state_dict(state, strict=True)
        resampled = _resampled(writer, checkpoint.tensors, network)
        return Loaded(network, f"file {checkpoint.part}", format, resampled=resampled)
    try:
        adapted = _adapted(spec, network, state, headed)
    except ModelError as error:
        raise _does_not_fit(spec, file, format, faults, network) from error
    resampled = _resampled(FORMATS.get("timm"), state, adapted)
    return Loaded(adapted, f"file {checkpoint.part}", format, adapted=True, resampled=resampled)


def _empty(spec: ModelSpec, headed: bool) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the network without weights, and the beginnings of the names of a classifier that it shall not have."""
    network: Any = create(spec, True, pretrained=False)
    if headed:
        return network, ()
    before = set(network.state_dict())
    if network.num_classes > 0:
        network.reset_classifier(0)
    gone = before - set(network.state_dict())
    # a batch norm inside the classifier goes with it; a backbone never had one, though the file may
    return network, (*gone, *(f"{name}." for name in classifier_names(network)))


def _agree_on_classes(network: nn.Module, state: State, spec: ModelSpec) -> None:
    """Give the network as many classes as the file has, unless the entry says how many."""
    net: Any = network
    for name in classifier_names(network):
        if "num_classes" not in spec.args and f"{name}.weight" in state:
            classes = len(state[f"{name}.weight"])
            if classes != net.num_classes:
                net.reset_classifier(classes)


def _adapted(spec: ModelSpec, network: nn.Module, state: State, headed: bool) -> nn.Module:
    """Return a network loaded through timm's own conversion for the architecture, still strictly.

    It knows the publishers' names and resamples position embeddings. Only tried where the tensors do not fit as they
    are, so that a file which fits is never touched.
    """
    net: Any = network
    _refuse_other_architectures(network, state)
    # With the true number of classes in the overlay timm neither drops the classifier nor relaxes the check.
    overlay = {"state_dict": state, "num_classes": net.num_classes}
    net = create(spec, headed, pretrained=True, num_classes=net.num_classes, pretrained_cfg_overlay=overlay)
    net.pretrained_cfg.pop("state_dict", None)  # a second copy of all weights
    adapted: nn.Module = net
    return adapted


def _refuse_other_architectures(network: nn.Module, state: State) -> None:
    """Refuse what timm would quietly bend into shape: patches of another size, a layer that the network lacks."""
    wanted = network.state_dict()
    bent = [
        name
        for name, tensor in state.items()
        if name in wanted
        and tensor.numel() != wanted[name].numel()
        and name.rpartition(".")[2] not in POSITION_TABLES
        and not (name == "cls_token" or name.startswith(classifier_names(network)))
    ]
    lost = [name for name in state if name.split(".")[0] in _DROPPED_BY_TIMM and name not in wanted]
    if bent or lost:
        raise ModelError(f"{_first([*bent, *lost])}: not of this architecture")


def _resampled(writer: Format, raw: Mapping[str, Tensor], network: nn.Module) -> str | None:
    """Return how position tables were resampled, or None if none was."""
    wanted = network.state_dict()
    tables = [name for name in raw if name in wanted and name.rpartition(".")[2] in POSITION_TABLES]
    if any(_grid(raw[name]) != _grid(wanted[name]) for name in tables):
        return writer.resampling(network)
    return None


def _grid(table: Tensor) -> tuple[int, ...]:
    """Return what tells the grid of a position table: of (1, prefix tokens + side², D) the side, else the shape."""
    return (math.isqrt(table.shape[1]),) if table.ndim == 3 else tuple(table.shape)


def _faults(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Return which tensors are missing, unexpected or of another shape; empty if `state` fits exactly."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state]
    unexpected = [name for name in state if name not in wanted]
    shapes = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return {kind: names for kind, names in found.items() if names}


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _does_not_fit(
    spec: ModelSpec, file: Path, format: str, faults: dict[str, list[str]], network: nn.Module
) -> ModelError:
    return ModelError(
        f"the checkpoint does not fit '{spec.timm}' (read as format '{format}'): tensors "
        + "; ".join(f"{kind}: {len(names)} ({_first(names)})" for kind, names in faults.items()),
        file=file,
        fix=_fix(faults, network),
    )


def _fix(faults: dict[str, list[str]], network: nn.Module) -> str:
    missing, unexpected = faults.get("missing", []), faults.get("unexpected", [])
    if set(faults) == {"missing"} and all(name.startswith(classifier_names(network)) for name in missing):
        return "the file has no classifier: load it without head (--no-head)"
    if missing and all(map(_is_layer_scale, missing)):
        return (
            "the network needs LayerScale and the file has none: it belongs to another network, or lost it when it was "
            "converted\n(without it every number would be wrong); use the publisher's file"
        )
    if not all(name.startswith(_NORMS) or _is_layer_scale(name) for name in (*missing, *unexpected)):
        return _general_fix()
    if any(name.startswith("fc_norm.") for name in unexpected):
        return "the file belongs to a network that norms the mean of its tokens: add args: {global_pool: avg}"
    if any(name.startswith("fc_norm.") for name in missing):
        return "the file belongs to a network that norms its class token: add args: {global_pool: token}"
    if any(map(_is_layer_scale, unexpected)):
        return "the file has LayerScale, the network as built has none: add args: {init_values: 1.0e-5}"
    return _general_fix()


def _general_fix() -> str:
    return (
        "use weights of this architecture, correct 'timm', 'args' or 'format' of the entry"
        f"\n(formats: {', '.join(sorted(FORMATS))})"
    )


def _is_layer_scale(name: str) -> bool:
    return re.search(r"\.(ls[12]\.gamma|gamma_[12])$", name) is not None
