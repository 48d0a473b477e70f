"""Weights from a file into a network: every tensor of the network is loaded and every tensor of the file is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models.build import classifier_names, create
from moodbench.models.checkpoint import Checkpoint, read_checkpoint
from moodbench.models.contents import common_prefixes, inner_prefixes
from moodbench.models.formats.base import FORMATS, PLAIN, Format, State, detect_format
from moodbench.models.misfit import first, fix_for, shard_fix

POSITION_TABLES = ("pos_embed", "relative_position_bias_table", "rel_pos_h", "rel_pos_w")
"""Last parts of the names of tensors that are resampled to another image size. No other tensor ever is."""

# timm takes these out of a file without a word: a layer between the pooled token and the classifier.
_DROPPED_BY_TIMM = ("pre_logits",)


@dataclass(frozen=True)
class LoadedModel:
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


@dataclass(frozen=True)
class _Read:
    """The tensors of a file as one format reads them, below one prefix, and what is wrong with them."""

    prefix: str
    format: str
    raw: Mapping[str, Tensor]
    state: State
    faults: dict[str, list[str]]

    @property
    def badness(self) -> int:
        """How many tensors have no counterpart."""
        return len(self.faults.get("missing", ())) + len(self.faults.get("unexpected", ()))


@dataclass(frozen=True)
class _Reader:
    """Reads one checkpoint for one network.

    `format` None: found out from the names of the tensors, anew for each prefix. `classifier`: the beginnings of the
    names of a classifier that the network shall not have.
    """

    spec: ModelSpec
    network: nn.Module
    classifier: tuple[str, ...]
    format: str | None
    headed: bool
    architecture: str | None

    def below(self, tensors: Mapping[str, Tensor], prefix: str) -> _Read:
        """Return the tensors below `prefix`; where the file brings a classifier, the network gets as many classes."""
        raw = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        format = self.format or detect_format(raw.keys(), self.architecture)
        state = FORMATS.get(format).convert(raw, self.network)
        if self.headed:
            _agree_on_classes(self.network, state, self.spec)
        else:
            state = {name: tensor for name, tensor in state.items() if not name.startswith(self.classifier)}
        return _Read(prefix, format, raw, state, _faults(self.network, state))


def load_file(spec: ModelSpec, file: Path, format: str | None, headed: bool, key: str | None = None) -> LoadedModel:
    """Return the network of `spec` with the weights of `file`.

    What all names begin with is taken off where the tensors fit without it.

    Parameters
    ----------
    spec : ModelSpec
    file : Path
    format : str or None
        None: found out from the names of the tensors.
    headed : bool
        False: the network gets no classifier, whether the file has one or not.
    key : str, optional
        Which part of the file; see `moodbench.models.checkpoint.read_checkpoint`.

    Raises
    ------
    ModelError
        The file cannot be read, or its tensors are not exactly those of the network.
    """
    checkpoint = read_checkpoint(file, key)
    network, classifier = _empty(spec, headed)
    reader = _Reader(spec, network, classifier, format, headed, checkpoint.architecture)
    checkpoint = _as_format_knows(checkpoint, format)
    tensors = checkpoint.tensors
    tried: list[_Read] = []
    for prefix in ("", *common_prefixes(tensors.keys())):
        read = reader.below(tensors, prefix)
        if not read.faults:
            network.load_state_dict(read.state, strict=True)
            resampled = _resampled(FORMATS.get(read.format), read.raw, network)
            return LoadedModel(network, f"file {checkpoint.source(prefix)}", read.format, resampled=resampled)
        tried.append(read)
        if _lacks_only_classifier(read, network):  # below a prefix a projection might pass for one
            break
    best = reader.below(tensors, min(tried, key=lambda read: read.badness).prefix)
    try:
        adapted = _adapted(spec, network, best.state, headed)
    except ModelError as error:
        raise _does_not_fit(_Misfit(checkpoint, reader, best), file) from error
    resampled = _resampled(FORMATS.get("timm"), best.state, adapted)
    source = f"file {checkpoint.source(best.prefix)}"
    return LoadedModel(adapted, source, best.format, adapted=True, resampled=resampled)


def _as_format_knows(checkpoint: Checkpoint, format: str | None) -> Checkpoint:
    """Return the tensors under the names by which a format knows them, where what was taken off is part of these.

    A part of a training file is still what it was there: the projection below ``encoder_q.`` is no classifier.
    """
    whole = {checkpoint.inner + name: tensor for name, tensor in checkpoint.tensors.items()}
    known = format is None and detect_format(whole.keys(), checkpoint.architecture) != PLAIN
    return replace(checkpoint, tensors=whole, whole=True) if known and checkpoint.inner else checkpoint


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
        raise ModelError(f"{first([*bent, *lost])}: not of this architecture")


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


@dataclass(frozen=True)
class _Misfit:
    """A checkpoint, the reader for which it does not fit, and how it was read."""

    checkpoint: Checkpoint
    reader: _Reader
    read: _Read


def _does_not_fit(found: _Misfit, file: Path) -> ModelError:
    """Return what to say about it."""
    read = found.read
    where = found.checkpoint.source(read.prefix).removeprefix(file.name).removeprefix(", ")
    beside = f"; beside it the file holds {', '.join(found.checkpoint.beside)}" if found.checkpoint.beside else ""
    return ModelError(
        f"the checkpoint does not fit '{found.reader.spec.timm}' (read as format '{read.format}'"
        f"{f', {where}' if where else ''}): tensors "
        + "; ".join(f"{kind}: {len(names)} ({first(names)})" for kind, names in read.faults.items())
        + beside,
        file=file,
        fix=shard_fix(file)
        or _headless_fix(found)
        or _inner_fix(found)
        or fix_for(read.faults, found.reader.network, found.checkpoint, file),
    )


def _headless_fix(found: _Misfit) -> str | None:
    if _lacks_only_classifier(found.read, found.reader.network):
        return "the file has no classifier: load it without head (--no-head)"
    return None


def _lacks_only_classifier(read: _Read, network: nn.Module) -> bool:
    names = classifier_names(network)
    return set(read.faults) == {"missing"} and all(name.startswith(names) for name in read.faults["missing"])


def _inner_fix(found: _Misfit) -> str | None:
    """Return how to take a part of the names, if the tensors below one of them are the network's, head or not."""
    tensors, reader = found.checkpoint.tensors, found.reader
    bare, gone = _empty(reader.spec, False)
    wanted = bare.state_dict()
    fitting: list[tuple[str, bool]] = []
    for prefix in inner_prefixes(tensors.keys(), len(wanted) // 2 or 1):
        for headed in (True, False) if reader.headed else (False,):
            network, classifier = (reader.network, ()) if headed else (bare, gone)
            try:
                read = replace(reader, network=network, classifier=classifier, headed=headed).below(tensors, prefix)
            except ModelError:
                continue
            if not read.faults:
                fitting.append((prefix, headed))
                break
    if not fitting:
        return None
    prefix, headed = fitting[0]
    key = found.checkpoint.key(prefix)
    rest = [name for name in tensors if not name.startswith(prefix)]
    alike = " (or ".join(f"'{one}'" for one, _ in fitting[:2]) + ")" * (len(fitting) > 1)
    no_head = "" if headed or not reader.headed else " --no-head"
    return (
        f"the tensors below {alike} are this network{'' if headed else ' without a classifier'}; "
        f"{len(rest)} others would be left out ({first(rest)}):\n"
        f"take that part alone with --checkpoint-key {key}{no_head} (in an entry: checkpoint_key: {key})"
    )
