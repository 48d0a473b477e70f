"""Reading checkpoint files, and the fingerprints of files and of loaded weights."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.reading import open_regular

# Where projects keep the tensors inside a checkpoint; averaged weights first, as they are what was evaluated.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "module", "teacher", "encoder")
# What parallel training and torch.compile put before every name, in either order.
PREFIXES = ("module.", "_orig_mod.")


class Checkpoint(NamedTuple):
    """What a file holds: tensors by name, which part of the file they are (in words), and who made it.

    `architecture` is what the training script called the network (``arch`` in the file), or None.
    """

    tensors: dict[str, Tensor]
    part: str
    architecture: str | None = None


def read_checkpoint(file: Path) -> Checkpoint:
    """Return the tensors of a checkpoint file by name.

    safetensors files and torch files (``weights_only``: nothing in the file is executed) are understood. Known
    wrappers are opened, and the prefixes of parallel or compiled training are taken off the names.

    Raises
    ------
    ModelError
        The file is missing, holds foreign Python objects, or is not a checkpoint.
    """
    open_regular(file, "the checkpoint", ModelError).close()
    part = file.name
    content: Any = _read(file)
    architecture = content.get("arch") if isinstance(content, dict) else None
    while isinstance(content, dict):
        wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if wrapper is None:
            break
        content, part = content[wrapper], f"{part}, {wrapper}"
    state = {} if not isinstance(content, dict) else {k: v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        raise ModelError(
            f"the file is not a checkpoint: it holds a {type(content).__name__} without tensors by name", file=file
        )
    named = {_bare(str(name)): tensor for name, tensor in state.items()}
    for name, tensor in named.items():
        _check_tensor(file, name, tensor)
    return Checkpoint(named, part, architecture if isinstance(architecture, str) else None)


def _check_tensor(file: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that the file does not hold as it stands: sparse, without data, or a view that repeats data."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_complex():
        raise ModelError(f"the checkpoint's tensor '{name}' is not a plain array of numbers", file=file)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelError(
            f"the checkpoint's tensor '{name}' of shape {tuple(tensor.shape)} is larger than what is stored of it",
            file=file,
        )


def _check_archive(file: Path) -> None:
    """Refuse an archive that unpacks to more than the file has bytes: torch never compresses."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception:  # torch has its own words for it
        return
    if unpacked > file.stat().st_size:
        raise ModelError(
            f"the checkpoint unpacks to {unpacked} bytes, and has {file.stat().st_size}: torch does not compress",
            file=file,
        )


def _read(file: Path) -> Any:
    with open_regular(file, "the checkpoint", ModelError) as stream:
        start = stream.read(16)
    if start[:2] == b"PK":
        _check_archive(file)
    try:
        # The 9th byte opens a safetensors header, whatever the file is called.
        if file.suffix == ".safetensors" or (start[8:9] == b"{" and start[:2] != b"PK"):
            return load_file(file)
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the age of a file's format, which nobody can change
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if start[:2] != b"PK" and start[:1] != b"\x80":
            raise _unreadable(file, start) from None
        raise ModelError(
            f"the checkpoint holds Python objects other than tensors, which are not loaded: {_foreign(file, error)}",
            file=file,
            fix="if you trust the file, write its tensors alone to a new one and use that:\n"
            "  state = torch.load(FILE, weights_only=False)['state_dict']; torch.save(state, NEW)",
        ) from None
    except Exception as error:  # of a damaged file, torch raises nearly everything
        raise _unreadable(file, start, error) from error


class _Inert:
    """Stands for whatever a training script left in its file: takes every argument and state, and does nothing."""

    def __new__(cls, *_: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


# Logs of mmengine, and the NumPy arrays and numbers in them. Reading stands for them without importing anything.
_LEFT_BEHIND = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
)


def _harmless() -> list[Any]:
    """Return what else than tensors may be in a file: the arguments of a training script, and stand-ins for logs."""
    return [argparse.Namespace, *((_Inert, name) for name in _LEFT_BEHIND)]


def _unreadable(file: Path, start: bytes, error: Exception | None = None) -> ModelError:
    why = "" if error is None else f" ({_first_sentence(error)})"
    found = f"it begins with {start!r}" if start else "it is empty"
    return ModelError(
        f"the file is not a checkpoint that torch or safetensors can read: {found}{why}",
        file=file,
        fix="download it again; a text beginning with '<' is a web page, 'version https://git-lfs' a pointer to a file",
    )


def _foreign(file: Path, error: Exception) -> str:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(file))
    except Exception:  # only a nicer message depends on it
        names = []
    # of a pickle that is no archive torch says it in a long text, which also recommends to run what is in it
    names = names or list(dict.fromkeys(re.findall(r"GLOBAL ([\w.]+)", str(error))))
    reason = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return ", ".join(names) or (reason[1] if reason else _first_sentence(error))


def _first_sentence(error: Exception) -> str:
    """Return what torch says is wrong, without its advice: that is to trust the file, or speaks to its developers."""
    return str(error).split("\n")[0].split(". ")[0] or type(error).__name__


def _bare(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.removeprefix(PREFIXES[0]).removeprefix(PREFIXES[1])
    return name


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
