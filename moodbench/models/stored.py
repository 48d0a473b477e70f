"""What a file of weights holds: torch files, safetensors and their shards. Nothing in them is executed."""

from __future__ import annotations

import argparse
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from moodbench.errors import ModelError
from moodbench.models.foreign import Inert, first_sentence, other_kind, refused
from moodbench.names import file_fault
from moodbench.reading import open_regular, parse_json, read_bytes

INDEX = ".index.json"
"""How the list of a checkpoint's shards is called: the name of the whole, and this."""

_LARGEST_INDEX = 100_000_000  # bytes; a name and a file for each of a million tensors


def read_stored(file: Path) -> Any:
    """Return what is in a file of weights: tensors by name, or whatever a training script put around them.

    Raises
    ------
    ModelError
        The file is missing, holds foreign Python objects, or is not a checkpoint.
    """
    open_regular(file, "the checkpoint", ModelError).close()
    return _read_shards(file) if file.name.endswith(INDEX) else _read(file)


def _read_shards(file: Path) -> dict[str, Any]:
    """Return the tensors of all files that an index names; they lie beside it."""
    text = read_bytes(file, "the checkpoint's index", ModelError, most=_LARGEST_INDEX)
    try:
        places: dict[str, str] = dict(parse_json(text)["weight_map"])
    except (ValueError, KeyError, TypeError):
        raise ModelError("the index of a checkpoint has no 'weight_map' of tensors and files", file=file) from None
    found: dict[str, Any] = {}
    for shard in dict.fromkeys(places.values()):
        fault = file_fault(shard) if isinstance(shard, str) else "is no text"
        if fault is not None:
            raise ModelError(f"the index names the file '{shard}', whose name {fault}", file=file)
        content = _read(file.with_name(shard))
        wanted = [name for name, place in places.items() if place == shard]
        lacking = [name for name in wanted if not isinstance(content, dict) or name not in content]
        if lacking:
            raise ModelError(
                f"the index says that '{shard}' holds the tensor '{lacking[0]}', which it does not", file=file
            )
        found |= {name: content[name] for name in wanted}
    return found


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
    other = other_kind(file, start)
    if other is not None:
        raise other
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
        raise refused(file, error, _harmless()) from None
    except Exception as error:  # of a damaged file, torch raises nearly everything
        raise _unreadable(file, start, error) from error


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
    return [argparse.Namespace, *((Inert, name) for name in _LEFT_BEHIND)]


def _unreadable(file: Path, start: bytes, error: Exception | None = None) -> ModelError:
    why = "" if error is None else f" ({first_sentence(error)})"
    found = f"it begins with {start!r}" if start else "it is empty"
    return ModelError(
        f"the file is not a checkpoint that torch or safetensors can read: {found}{why}",
        file=file,
        fix="download it again; a text beginning with '<' is a web page, 'version https://git-lfs' a pointer to a file",
    )
