"""Makes feature caches: everything allocated, sealed, and there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError
from moodbench.features.seal import BLOCK, Extent, put_seal, rest_pieces
from moodbench.sizes import human_bytes

SCHEMA = 2

SHARDED = 3
"""The schema of a manifest: a file that says that the rows lie in shards (`moodbench.features.shards.manifest`)."""

ROWS = ("features", "logits", "status", "crc32")
"""Arrays that change after the file was made; a checksum of each row watches over them."""

COMPLETE = "complete"
"""The attribute that changes."""

PARTS = ("ids", "labels")
"""Arrays that never change and may be large: they are compared with the seal when they are read."""

_ROOM = 1 << 20
"""Bytes for the file's own structure, on top of its arrays, when space is estimated."""


@dataclass(frozen=True)
class Layout:
    """What a new cache will hold.

    Attributes
    ----------
    ids : sequence of str
    labels : (N,) int64
    dim : int
        D.
    classes : int or None
        C, or None without logits.
    class_names : sequence of str
        K unique names: label *i* is the *i*-th. Empty where nobody knows them.
    head : str or None
        Digest of the head that logits are made with (`Head.digest`).
    """

    ids: Sequence[str]
    labels: NDArray[np.int64]
    dim: int
    classes: int | None
    class_names: Sequence[str] = ()
    head: str | None = None

    @property
    def rows(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def id_bytes(self) -> int:
        """Bytes of the longest id."""
        return longest(self.ids)

    @property
    def arrays(self) -> int:
        """Bytes of all that it holds."""
        row = 4 * (self.dim + (self.classes or 0)) + 8 + 1 + 4 + self.id_bytes
        return self.rows * row + len(self.class_names) * longest(self.class_names)

    @property
    def size(self) -> int:
        """Bytes that the file will take at most."""
        return self.arrays + _ROOM


def create_cache(file: Path, model: str, dataset: str, layout: Layout, provenance: Mapping[str, object]) -> None:
    """Create an empty cache, whole, under a temporary name, and rename it to `file`.

    Raises
    ------
    CacheError
        The disk has no room for it, or the folder cannot be written.
    """
    temporary = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        refuse_if_full(file.parent, layout.size)
        _allocate(temporary, model, dataset, layout, provenance)
        temporary.replace(file)
    except (OSError, RuntimeError) as error:  # h5py raises the latter where a full disk is noticed on closing
        raise CacheError(
            f"the cache cannot be created: {reason(error)}", file=file, fix="make room or choose another --cache-dir"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_if_full(folder: Path, size: int) -> None:
    """Raise a `CacheError` unless the disk has room for so many bytes; the folder must be there."""
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if size > free:
        raise CacheError(
            f"the cache needs {human_bytes(size)}, the disk has {human_bytes(free)} left",
            file=folder,
            fix="make room or choose another --cache-dir",
        )


def _allocate(temporary: Path, model: str, dataset: str, layout: Layout, provenance: Mapping[str, object]) -> None:
    n = layout.rows
    with h5py.File(temporary, "w", libver="earliest", locking=False, userblock_size=BLOCK) as h5:
        _contiguous(h5, "features", (n, layout.dim), np.dtype("<f4"))
        if layout.classes is not None:
            _contiguous(h5, "logits", (n, layout.classes), np.dtype("<f4"))
        _contiguous(h5, "labels", (n,), np.dtype("<i8"))
        _contiguous(h5, "status", (n,), np.dtype("u1"))
        _contiguous(h5, "crc32", (n,), np.dtype("<u4"))
        h5["labels"][:] = layout.labels
        write_texts(h5, "ids", layout.ids)
        if layout.class_names:
            write_texts(h5, "classes", layout.class_names)
        h5.attrs["moodbench_schema"] = SCHEMA
        h5.attrs["model"] = model
        h5.attrs["dataset"] = dataset
        h5.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
        if layout.head is not None:
            h5.attrs["head"] = layout.head
        h5.attrs[COMPLETE] = np.uint8(1)
        places = {
            name: (h5[name].id.get_offset(), h5[name].id.get_storage_size()) for name in (*ROWS, *PARTS) if name in h5
        }
    if hasattr(os, "posix_fallocate"):
        with temporary.open("r+b") as stream:
            # take the blocks now: a disk that is full then says so here, not in the middle of a row
            os.posix_fallocate(stream.fileno(), 0, temporary.stat().st_size)
    _seal(temporary, places)


def _seal(file: Path, places: Mapping[str, Extent]) -> None:
    """Seal a new cache, once it was found out where in the file its attribute `complete` lies; that is 0 then."""
    states = []
    for complete in (1, 0):
        with h5py.File(file, "r+", locking=False) as h5:
            h5.attrs.modify(COMPLETE, np.uint8(complete))
        with file.open("rb") as stream:
            states.append(list(rest_pieces(stream, places.values())))
    (position,) = (
        offset + i
        for (offset, one), (_, other) in zip(*states, strict=True)
        if one != other
        for i in range(len(one))
        if one[i] != other[i]
    )
    free = {name: extent for name, extent in places.items() if name in ROWS} | {COMPLETE: (position, 1)}
    with file.open("r+b") as stream:
        put_seal(stream, free=free, parts={name: extent for name, extent in places.items() if name in PARTS})
        stream.flush()
        os.fsync(stream.fileno())


def _contiguous(h5: Any, name: str, shape: tuple[int, ...], dtype: Any) -> None:
    """Create an array in one piece, with its space taken at once and zeros in it."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    # new space in a file reads as zeros: writing a fill value would only take time
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(dtype, logical=True)
    h5py.h5d.create(h5.id, name.encode(), kind, h5py.h5s.create_simple(shape), dcpl=settings)


def write_texts(h5: Any, name: str, texts: Sequence[str]) -> None:
    """Write a list of texts as an array of them, in UTF-8, in one piece."""
    _contiguous(h5, name, (len(texts),), h5py.string_dtype("utf-8", longest(texts)))
    h5[name][:] = np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=h5[name].dtype)


def longest(texts: Sequence[str]) -> int:
    """Return the bytes of the longest of some texts in UTF-8, at least 1."""
    return max((len(text.encode("utf-8", "surrogateescape")) for text in texts), default=1) or 1


def reason(error: OSError | RuntimeError) -> str:
    """Say why the file system or HDF5 refused to write."""
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
        return "the disk is full"
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
