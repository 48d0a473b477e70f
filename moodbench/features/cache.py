"""The feature cache: one HDF5 file per (model, dataset). The only module that knows HDF5.

Everything is allocated when the file is created, under a temporary name, and then renamed into place. From then on rows
are written into space that exists, so no structure of the file ever changes: a process killed at any moment leaves a
file that opens. A row counts as there once its checksum is; the checksum is written and flushed after the row.

=============  ======================  =========================================================================
``features``   (N, D) float32          penultimate features
``logits``     (N, C) float32          of the model's own head; absent when it has none
``labels``     (N,) int64              -1 where unknown
``ids``        (N,) UTF-8              image path relative to the dataset's folder, or a running number
``status``     (N,) uint8              0 pending, 1 done, 2 skipped (features zero, never scored)
``crc32``      (N,) uint32             of the row's features, logits, label and status; 0 = not there yet
``classes``    (K,) UTF-8              names of classes: label i is the i-th; absent where nobody knows them
attributes                             ``moodbench_schema``, ``model``, ``dataset``, ``complete``, ``provenance`` (JSON)
=============  ======================  =========================================================================
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError

SCHEMA = 2
READABLE = (1, 2)
"""Schema 1 has no names of classes."""

PENDING, DONE, SKIPPED = 0, 1, 2

_CHECK_ROWS = 4096
_ROOM = 1 << 20
"""Bytes for the file's own structure, on top of its arrays, when space is estimated."""

_OVERFLOW = "half precision overflows in some networks: try --precision fp32"
_NOT_FINITE = {
    "bf16": _OVERFLOW,
    "fp16": _OVERFLOW,
    "fp32": "the weights are damaged, or not those of this network: check the checkpoint",
}
"""What to do about rows with NaN, by the precision they were computed in; imported ones have none."""


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
    """

    ids: Sequence[str]
    labels: NDArray[np.int64]
    dim: int
    classes: int | None
    class_names: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def id_bytes(self) -> int:
        """Bytes of the longest id."""
        return _longest(self.ids)

    @property
    def size(self) -> int:
        """Bytes that the file will take."""
        row = 4 * (self.dim + (self.classes or 0)) + 8 + 1 + 4 + self.id_bytes
        return self.rows * row + len(self.class_names) * _longest(self.class_names) + _ROOM


class FeatureCache:
    """An open cache file. Use as a context manager.

    Attributes
    ----------
    rows, dim, classes : int, int, int or None
        N, D and C.
    class_names : tuple of str, or None
        K names of the classes that labels stand for; None where they are unknown.
    provenance : dict
        What the rows were made from.
    """

    def __init__(self, file: Path, *, write: bool = False) -> None:
        """Open `file`, read-only unless `write`.

        Raises
        ------
        CacheError
            The file is missing, truncated, no HDF5, no cache of ours, or of another schema.
        """
        self.file = file
        if not file.exists():
            raise CacheError("there is no such cache", file=file, fix="run moodbench extract or moodbench import first")
        try:
            # no HDF5 lock: a forked worker would inherit it and outlive a killed parent (see moodbench.features.lock)
            self._h5 = h5py.File(file, "r+" if write else "r", locking=False)
        except OSError as error:
            raise CacheError(
                f"this is no readable HDF5 file ({_first_line(error)})",
                file=file,
                fix="it is damaged or foreign: remove it, then extract or import again",
            ) from None
        try:
            self._inspect()
        except BaseException:
            self._h5.close()
            raise

    def _inspect(self) -> None:
        attributes = self._h5.attrs
        schema = attributes.get("moodbench_schema")
        if schema is None:
            raise CacheError(
                "this HDF5 file is no moodbench cache", file=self.file, fix="move it out of the cache folder"
            )
        if int(schema) not in READABLE:
            raise CacheError(
                f"the cache has schema {int(schema)}; this version of moodbench reads schemas up to {SCHEMA}",
                file=self.file,
                fix="extract again with this version, or use the version that wrote it",
            )
        try:
            self.rows, self.dim = map(int, self._h5["features"].shape)
            self.classes = int(self._h5["logits"].shape[1]) if "logits" in self._h5 else None
            self.provenance: dict[str, Any] = json.loads(attributes["provenance"])
            self.model, self.dataset = str(attributes["model"]), str(attributes["dataset"])
            self.class_names = _texts(self._h5["classes"]) if "classes" in self._h5 else None
            lengths = {name: len(self._h5[name]) for name in ("labels", "ids", "status", "crc32")}
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise CacheError(
                f"the cache lacks a part: {error}", file=self.file, fix="remove it and make it again"
            ) from None
        if any(length != self.rows for length in lengths.values()):
            raise CacheError(f"the cache's arrays differ in length: {lengths}", file=self.file, fix="make it again")
        end = max(self._h5[name].id.get_offset() + self._h5[name].id.get_storage_size() for name in self._arrays)
        if self.file.stat().st_size < end:
            raise CacheError("the cache is truncated", file=self.file, fix="remove it and make it again")

    @property
    def _arrays(self) -> list[str]:
        return ["features", *(["logits"] if self.classes is not None else []), "labels", "status", "crc32"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._h5.close()

    @property
    def complete(self) -> bool:
        """Whether every row was written (some may be skipped)."""
        return bool(self._h5.attrs["complete"])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64, -1 where unknown."""
        labels: NDArray[np.int64] = self._h5["labels"][:]
        return labels

    @cached_property
    def ids(self) -> list[str]:
        """N image paths or running numbers."""
        return list(_texts(self._h5["ids"]))

    @property
    def status(self) -> NDArray[np.uint8]:
        """(N,) uint8, see the module's table."""
        status: NDArray[np.uint8] = self._h5["status"][:]
        return status

    @property
    def checksums(self) -> NDArray[np.uint32]:
        """(N,) uint32, 0 where a row is not there yet."""
        checksums: NDArray[np.uint32] = self._h5["crc32"][:]
        return checksums

    @property
    def fingerprint(self) -> str:
        """SHA-256 over checksums, shapes and names of classes: equal for equal contents."""
        digest = hashlib.sha256(f"{self.rows},{self.dim},{self.classes};".encode())
        digest.update(self.checksums.astype("<u4").tobytes())
        if self.class_names is not None:
            digest.update("\0".join(self.class_names).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def write(
        self,
        start: int,
        features: NDArray[np.float32],
        logits: NDArray[np.float32] | None,
        status: NDArray[np.uint8],
    ) -> None:
        """Write rows ``start, start + 1, …`` and then, flushed after them, their checksums.

        Raises
        ------
        CacheError
            A row that is not skipped has NaN or infinity, or the disk is full. Rows written before stay.
        """
        rows = slice(start, start + len(features))
        self._refuse_non_finite(start, features, logits)
        checksums = row_checksums(features, logits, self.labels[rows], status)
        try:
            self._h5["features"][rows] = features
            if logits is not None:
                self._h5["logits"][rows] = logits
            self._h5["status"][rows] = status
            self._h5.flush()
            self._h5["crc32"][rows] = checksums
            self._h5.flush()
        except OSError as error:
            raise CacheError(
                f"rows {start} to {rows.stop - 1} could not be written: {_reason(error)}",
                file=self.file,
                fix="make room, then run the same command again: it goes on where it stopped",
            ) from None

    def _refuse_non_finite(self, start: int, features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> None:
        bad = _non_finite_rows(features, logits)
        if bad.size:
            names = ", ".join(f"{start + i} ('{self.ids[start + i]}')" for i in bad[:3])
            raise CacheError(
                f"{bad.size} rows have NaN or infinite features or logits, the first: {names}",
                file=self.file,
                fix=_NOT_FINITE.get(self.provenance.get("precision", ""), "mend them where they were computed"),
            )

    def finish(self) -> None:
        """Mark the cache as complete."""
        # same type and size as at creation: h5py overwrites the value in place
        self._h5.attrs.modify("complete", np.uint8(1))
        self._h5.flush()

    def first_missing(self) -> int:
        """Return the first row that is not there or whose bytes do not match its checksum; N if all are there."""
        for start, block in self._blocks():
            found, computed = block
            bad = np.flatnonzero((found == 0) | (found != computed))
            if bad.size:
                return start + int(bad[0])
        return self.rows

    def damaged_rows(self) -> list[int]:
        """Return the rows that are there but whose bytes do not match their checksum, or are not finite."""
        rows: list[int] = []
        for start, (found, computed) in self._blocks(finite=True):
            rows += (start + np.flatnonzero((found != 0) & (found != computed))).tolist()
        return rows

    def _blocks(self, *, finite: bool = False) -> Iterator[tuple[int, tuple[NDArray[np.uint32], NDArray[np.uint32]]]]:
        """Walk through the file: (first row, (stored checksums, computed ones)). `finite` also refuses NaN."""
        for start in range(0, self.rows, _CHECK_ROWS):
            rows = slice(start, min(start + _CHECK_ROWS, self.rows))
            found = self._h5["crc32"][rows]
            if not found.any():
                yield start, (found, found)
                continue
            features = self._h5["features"][rows]
            logits = self._h5["logits"][rows] if self.classes is not None else None
            computed = row_checksums(features, logits, self._h5["labels"][rows], self._h5["status"][rows])
            bad = _non_finite_rows(features, logits) if finite else np.empty(0, np.intp)
            bad = bad[(found == computed)[bad]]
            if bad.size:
                raise CacheError(
                    f"NaN or infinity in row {start + int(bad[0])}", file=self.file, fix="extract or import it again"
                )
            yield start, (found, computed)

    def offset(self, name: str) -> int:
        """Byte offset of the contiguous array `name` in the file: rows can be read without HDF5."""
        return int(self._h5[name].id.get_offset())


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
        _refuse_if_full(file.parent, layout.size)
        _allocate(temporary, model, dataset, layout, provenance)
        temporary.replace(file)
    except OSError as error:
        raise CacheError(
            f"the cache cannot be created: {_reason(error)}", file=file, fix="make room or choose another --cache-dir"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _refuse_if_full(folder: Path, size: int) -> None:
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
    with h5py.File(temporary, "w", libver="earliest", locking=False) as h5:
        _contiguous(h5, "features", (n, layout.dim), np.dtype("<f4"))
        if layout.classes is not None:
            _contiguous(h5, "logits", (n, layout.classes), np.dtype("<f4"))
        _contiguous(h5, "labels", (n,), np.dtype("<i8"))
        _contiguous(h5, "status", (n,), np.dtype("u1"))
        _contiguous(h5, "crc32", (n,), np.dtype("<u4"))
        h5["labels"][:] = layout.labels
        _write_texts(h5, "ids", layout.ids)
        if layout.class_names:
            _write_texts(h5, "classes", layout.class_names)
        h5.attrs["moodbench_schema"] = SCHEMA
        h5.attrs["model"] = model
        h5.attrs["dataset"] = dataset
        h5.attrs["complete"] = np.uint8(0)
        h5.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
    with temporary.open("r+b") as stream:
        # take the blocks now: a disk that is full then says so here, not in the middle of a row
        size = temporary.stat().st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
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


def _write_texts(h5: Any, name: str, texts: Sequence[str]) -> None:
    _contiguous(h5, name, (len(texts),), h5py.string_dtype("utf-8", _longest(texts)))
    h5[name][:] = np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=h5[name].dtype)


def _texts(stored: Any) -> tuple[str, ...]:
    return tuple(text.decode("utf-8", "surrogateescape") for text in stored[:])


def _longest(texts: Sequence[str]) -> int:
    """Return the bytes of the longest of some texts in UTF-8, at least 1."""
    return max((len(text.encode("utf-8", "surrogateescape")) for text in texts), default=1) or 1


def row_checksums(
    features: NDArray[np.float32],
    logits: NDArray[np.float32] | None,
    labels: NDArray[np.int64],
    status: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Return the CRC-32 of each row's little-endian bytes, (B,) uint32; a checksum that happens to be 0 becomes 1."""
    parts = [np.ascontiguousarray(features, "<f4")]
    if logits is not None:
        parts.append(np.ascontiguousarray(logits, "<f4"))
    parts += [np.ascontiguousarray(labels, "<i8")[:, None], np.ascontiguousarray(status)[:, None]]
    checksums = [0] * len(features)
    for part in parts:
        data, width = memoryview(part.reshape(-1)).cast("B"), part[:1].nbytes  # type: ignore[arg-type]
        checksums = [zlib.crc32(data[i * width : (i + 1) * width], c) for i, c in enumerate(checksums)]
    result = np.array(checksums, np.uint32)
    result[result == 0] = 1
    return result


def _non_finite_rows(features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> NDArray[np.intp]:
    good = np.isfinite(features).all(axis=1)
    if logits is not None:
        good &= np.isfinite(logits).all(axis=1)
    return np.flatnonzero(~good)


def human_bytes(size: float) -> str:
    """Return a number of bytes in the largest unit that fits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return "the disk is full"
    return error.strerror or _first_line(error)
