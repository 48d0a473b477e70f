"""Reading checkpoint files, and the fingerprints of loaded weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.contents import choose, find_parts, plain_names
from moodbench.models.stored import read_stored
from moodbench.sizes import many


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds of a network, and where in the file that is.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By name, without what wrappers of the training put before the names (``module.``).
    part : str
        File and nesting in words: ``x.pth, state_dict``.
    architecture : str or None
        What the training script called the network (``arch`` in the file).
    path : tuple of str
        The nesting by itself.
    prefix : str
        What all names began with, and has been taken off.
    inner : str
        What the names began with that the caller asked for; taken off as well, unless `whole`.
    left_out : int
        How many tensors of that part do not lie below `inner`.
    beside : tuple of str
        What else of the kind the file holds.
    """

    tensors: dict[str, Tensor]
    part: str
    architecture: str | None = None
    path: tuple[str, ...] = ()
    prefix: str = ""
    inner: str = ""
    left_out: int = 0
    beside: tuple[str, ...] = ()
    whole: bool = False

    def taken_off(self, prefix: str = "") -> str:
        """Return all that is taken off the names in the file, if `prefix` is taken off those in `tensors`."""
        return self.prefix + (max(self.inner, prefix, key=len) if self.whole else self.inner + prefix)

    def key(self, prefix: str) -> str:
        """Return the key for the tensors below `prefix` in this part of the file."""
        dicts = "/".join(self.path) + "/" if self.beside and self.path else ""
        return dicts + ("" if self.whole else self.inner) + prefix

    def source(self, prefix: str = "") -> str:
        """Return in words which part of the file was taken; `prefix` was taken off the names as well."""
        whole = self.taken_off(prefix)
        below = f", below '{whole}'" if whole else ""
        others = f" ({many(self.left_out, 'other')} left out)" if self.left_out else ""
        return f"{self.part}{below}{others}"


def read_checkpoint(file: Path, key: str | None = None, *, selectable: bool = True) -> Checkpoint:
    """Return the tensors of a checkpoint file by name.

    safetensors files, their shards (by the index) and torch files (``weights_only``: nothing in the file is executed)
    are understood. The one dict of tensors in it is found wherever it is nested, and the marks of parallel, compiled
    and averaged training are taken off the names.

    Parameters
    ----------
    file : Path
    key : str, optional
        Which part of the file: the name of a dict in it (``model_ema``; ``a/b`` for one in another, ``.`` for the top),
        what names begin with (``backbone.``), or both (``state_dict/backbone.``).
    selectable : bool
        Whether the caller's user can give a `key`; for messages.

    Raises
    ------
    ModelError
        The file is missing, holds foreign Python objects, or is not a checkpoint; it holds several dicts of tensors and
        `key` does not say which, or it has no such part.
    """
    content = read_stored(file)
    found = find_parts(content)
    if not found:
        raise ModelError(
            f"the file is not a checkpoint: it holds a {type(content).__name__} without tensors by name", file=file
        )
    part, inner = choose(found, key, file, selectable=selectable)
    tensors, prefix = plain_names(part.tensors, file)
    kept = {name.removeprefix(inner): t for name, t in tensors.items() if name.startswith(inner)}
    for name, tensor in kept.items():
        _check_tensor(file, name, tensor)
    architecture = content.get("arch") if isinstance(content, dict) else None
    return Checkpoint(
        kept,
        ", ".join((file.name, *part.path)),
        architecture if isinstance(architecture, str) else None,
        part.path,
        prefix,
        inner,
        len(tensors) - len(kept),
        tuple(one.label for one in found if one is not part),
    )


def _check_tensor(file: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that the file does not hold as it stands: sparse, without data, or a view that repeats data."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_complex():
        raise ModelError(f"the checkpoint's tensor '{name}' is not a plain array of numbers", file=file)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelError(
            f"the checkpoint's tensor '{name}' of shape {tuple(tensor.shape)} is larger than what is stored of it",
            file=file,
        )


def weights_sha256(network: nn.Module) -> str:
    """Return the SHA-256 (hex) of the loaded weights.

    Over the state dict sorted by name: name, dtype, shape, bytes. It does not depend on the format of the file that
    the weights came from, and changes with any bit of any weight or batch-norm statistic.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
