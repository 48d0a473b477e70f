"""A network of open_clip with the weights of a file: every tensor of either is used, or it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.checkpoint import read_checkpoint
from moodbench.models.clip.library import Known, known, open_clip, quiet, tags_in_words
from moodbench.models.misfit import first
from moodbench.models.sources import own_file
from moodbench.models.weights import fetch_weights


def build(
    spec: ModelSpec, checkpoint: Path | None = None, key: str | None = None, *, image_size: int | None = None
) -> tuple[nn.Module, Known, str]:
    """Return both towers with their weights, in evaluation mode, what open_clip knows of them, and where they are from.

    Parameters
    ----------
    spec : ModelSpec
        Of open_clip.
    checkpoint, key : optional
        A file to load instead of the entry's own weights, and which part of it.
    image_size : int, optional
        Side of the pictures; position tables are resampled to another one than the architecture's own.

    Raises
    ------
    UsageError
        open_clip knows no such name.
    ModelError
        It is not installed; the weights cannot be had, or do not fit.
    """
    assert spec.clip is not None
    one = known(spec.clip)
    file, source = _file(spec, one, checkpoint)
    with hub.quiet():
        network = _created(one, spec, image_size)
        found = read_checkpoint(file, key if checkpoint is not None else spec.checkpoint_key)
        _fill(network, found.tensors, spec, file, resample=image_size not in (None, one.image_size))
    return network.eval().requires_grad_(False), one, source or f"file {found.source()}"


def quick_gelu(spec: ModelSpec, one: Known) -> bool:
    """Say which activation the network has; the entry's args win over what open_clip knows of the weights."""
    return bool(spec.args.get("quick_gelu", one.quick_gelu))


def _file(spec: ModelSpec, one: Known, checkpoint: Path | None) -> tuple[Path, str | None]:
    """Return the file of the weights, and where it is from if the file itself does not say so."""
    if checkpoint is not None:
        return checkpoint, None
    if spec.checkpoint is not None:
        return own_file(f"checkpoint of '{spec.name}'", spec.checkpoint, spec.sha256), None
    if spec.url is None and one.tag is None:
        raise ModelError(
            f"'{spec.name}' says no weights",
            fix=f"give a file with --checkpoint FILE, or name a tag (clip:{one.architecture}/TAG); "
            + tags_in_words(one.tags),
        )
    fetched = fetch_weights(spec).file
    assert fetched is not None
    where = spec.url or (one.hub[0] if one.hub else one.url)
    return fetched, f"hub {where}" if one.hub and spec.url is None else f"file {fetched.name} of its publisher"


def _created(one: Known, spec: ModelSpec, image_size: int | None) -> nn.Module:
    """Build the network without weights."""
    library = open_clip()
    try:
        with quiet():
            network: nn.Module = library.create_model(
                one.architecture,
                force_quick_gelu=quick_gelu(spec, one),
                force_image_size=image_size if image_size != one.image_size else None,
                pretrained_text=False,
            )
    except Exception as error:  # architectures need packages and files of their own, and raise what they like
        raise ModelError(f"open_clip cannot build '{one.architecture}': {error}") from error
    return network


def _fill(network: Any, tensors: Mapping[str, Tensor], spec: ModelSpec, file: Path, *, resample: bool) -> None:
    """Load tensors under whatever names open_clip knows them by."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed

    with quiet():
        state = convert_state_dict(network, dict(tensors))
        if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)  # of before there were other text towers
        if resample:
            resize_pos_embed(state, network)
    wanted = network.state_dict()
    for name in ("logit_scale", "logit_bias"):  # a number, or a vector of one
        if name in state and name in wanted and state[name].numel() == wanted[name].numel():
            state[name] = state[name].reshape(wanted[name].shape)
    faults = {
        "missing": [name for name in wanted if name not in state],
        "unexpected": [name for name in state if name not in wanted],
        "of another shape": [
            f"{name} is {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in wanted.items()
            if name in state and state[name].shape != tensor.shape
        ],
    }
    if any(faults.values()):
        raise ModelError(
            f"the checkpoint does not fit '{spec.clip}' of open_clip: tensors "
            + "; ".join(f"{kind}: {len(names)} ({first(names)})" for kind, names in faults.items() if names),
            file=file,
            fix="name the architecture that it was trained with (clip:ARCH); both towers must be in the file",
        )
    with torch.no_grad():
        network.load_state_dict(state, strict=True)
