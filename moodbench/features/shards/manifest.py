"""The manifest: a small sealed HDF5 file in the place of a cache, which says that its rows lie in shards.

It has the attributes of a cache, ``moodbench_schema`` 3, and besides

==========  ====================  ===============================================================================
``shards``  (S,) compound         ``start`` int64, ``rows`` int64, ``sha256`` 64 letters: `shard_digest` of each
``classes`` (K,) UTF-8            as in a cache
others      virtual datasets      ``features``, ``logits``, ``labels``, ``ids``, ``status``, ``crc32``: for programs
                                  that read it with HDF5 as one file; moodbench reads the shards
==========  ====================  ===============================================================================
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.atomic import sync_folder
from moodbench.errors import CacheError
from moodbench.features.create import COMPLETE, SHARDED, reason, write_texts
from moodbench.features.hdf5 import UnreadableError
from moodbench.features.seal import BLOCK, put_seal
from moodbench.shard_names import shard_name, shards_folder

_TABLE = np.dtype([("start", "<i8"), ("rows", "<i8"), ("sha256", "S64")])
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """A shard as the manifest knows it.

    Attributes
    ----------
    index, of : int
        From 1, of how many.
    start, rows : int
    sha256 : str
    """

    index: int
    of: int
    start: int
    rows: int
    sha256: str

    def file(self, manifest: Path) -> Path:
        """Return where it lies."""
        return shards_folder(manifest) / shard_name(self.index, self.of)

    @property
    def named(self) -> str:
        """For messages."""
        return f"shard {self.index} of {self.of}"


@dataclass(frozen=True)
class Contents:
    """What a manifest says of the cache, besides its shards.

    Attributes
    ----------
    model, dataset : str
    provenance : mapping
    head : str or None
    class_names : sequence of str
    dim : int
    classes : int or None
    id_bytes : sequence of int
        Of the longest id in each shard.
    """

    model: str
    dataset: str
    provenance: Mapping[str, Any]
    head: str | None
    class_names: Sequence[str]
    dim: int
    classes: int | None
    id_bytes: Sequence[int]


def shard_digest(block: bytes, checksums: NDArray[np.uint32]) -> str:
    """Return the SHA-256, in hex, of what tells a complete shard from every other.

    Parameters
    ----------
    block : bytes
        The block of its seal: digests of its structure, ids and labels.
    checksums : (rows,) uint32
        Of its rows.
    """
    digest = hashlib.sha256(block)
    digest.update(np.ascontiguousarray(checksums, "<u4").tobytes())
    return digest.hexdigest()


def read_shards(h5: Any, rows: int) -> tuple[Shard, ...]:
    """Return the shards that an open manifest lists.

    Raises
    ------
    UnreadableError
        They are not `rows` consecutive rows.
    """
    table = h5.get("shards")
    if not isinstance(table, h5py.Dataset) or table.dtype != _TABLE or table.ndim != 1:
        raise UnreadableError("its list of shards is damaged")
    if not 0 < table.nbytes <= table.id.get_storage_size():
        raise UnreadableError("its list of shards is empty or truncated")
    found = table[:]
    shards = tuple(
        Shard(i + 1, len(found), int(one["start"]), int(one["rows"]), one["sha256"].decode("ascii"))
        for i, one in enumerate(found)
    )
    at = 0
    for shard in shards:
        if shard.start != at or shard.rows < 1 or not _HEX.fullmatch(shard.sha256):
            raise UnreadableError(f"its list of shards is damaged at {shard.named}")
        at += shard.rows
    if at != rows:
        raise UnreadableError(f"its shards have {at} rows, and it has {rows}")
    return shards


def write_manifest(file: Path, shards: Sequence[Shard], contents: Contents) -> None:
    """Write a manifest to `file`, whole, under a temporary name, and rename it into place.

    Raises
    ------
    CacheError
        The disk is full, or the folder cannot be written.
    """
    temporary = file.with_name(f".{file.name}.new")
    try:
        with h5py.File(temporary, "w", locking=False, userblock_size=BLOCK) as h5:
            _fill(h5, file, shards, contents)
        with temporary.open("r+b") as stream:
            put_seal(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
        sync_folder(file.parent)
    except (OSError, RuntimeError) as error:  # h5py raises the latter where a full disk is noticed on closing
        raise CacheError(
            f"the shards cannot be joined: {reason(error)}",
            file=file,
            fix="make room, then run the same command again: no shard is lost",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _fill(h5: Any, file: Path, shards: Sequence[Shard], contents: Contents) -> None:
    rows = sum(shard.rows for shard in shards)
    longest = max(contents.id_bytes)
    arrays: dict[str, tuple[Any, tuple[int, ...]]] = {
        "features": (np.dtype("<f4"), (contents.dim,)),
        "labels": (np.dtype("<i8"), ()),
        "status": (np.dtype("u1"), ()),
        "crc32": (np.dtype("<u4"), ()),
        "ids": (h5py.string_dtype("utf-8", longest), ()),
    }
    if contents.classes is not None:
        arrays["logits"] = (np.dtype("<f4"), (contents.classes,))
    folder = shards_folder(file).name
    for name, (kind, width) in arrays.items():
        layout = h5py.VirtualLayout((rows, *width), kind)
        for shard in shards:
            # a relative name: HDF5 looks for it beside the manifest, wherever that lies
            source = f"{folder}/{shard_name(shard.index, shard.of)}"
            layout[shard.start : shard.start + shard.rows] = h5py.VirtualSource(source, name, (shard.rows, *width))
        h5.create_virtual_dataset(name, layout)
    table = [(shard.start, shard.rows, shard.sha256.encode("ascii")) for shard in shards]
    h5["shards"] = np.array(table, _TABLE)
    if contents.class_names:
        write_texts(h5, "classes", contents.class_names)
    h5.attrs["moodbench_schema"] = SHARDED
    h5.attrs["model"] = contents.model
    h5.attrs["dataset"] = contents.dataset
    h5.attrs["provenance"] = json.dumps(contents.provenance, sort_keys=True)
    if contents.head is not None:
        h5.attrs["head"] = contents.head
    h5.attrs[COMPLETE] = np.uint8(1)
