"""The feature cache: one HDF5 file per (model, dataset).

Everything is allocated when the file is created, under a temporary name, and then renamed into place. From then on rows
are written into space that exists, so no structure of the file ever changes: a process killed at any moment leaves a
file that opens. A row counts as there once its checksum is; the checksum is written and flushed after the row. All that
is no row never changes, and is compared with the file's seal (`moodbench.features.seal`) before HDF5 sees it.

=============  ======================  =========================================================================
``features``   (N, D) float32          penultimate features
``logits``     (N, C) float32          of the model's own head; absent when it has none
``labels``     (N,) int64              -1 where unknown
``ids``        (N,) UTF-8              image path relative to the dataset's folder, or a running number
``status``     (N,) uint8              0 pending, 1 done, 2 skipped (features zero, never scored)
``crc32``      (N,) uint32             of the row's features, logits, label and status; 0 = not there yet
``classes``    (K,) UTF-8              names of classes: label i is the i-th; absent where nobody knows them
attributes                             ``moodbench_schema``, ``model``, ``dataset``, ``complete``, ``provenance`` (JSON)
                                       ``head`` (digest of the head that the logits are of)
=============  ======================  =========================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError, CacheMismatchError, UsageError
from moodbench.features.checksums import row_checksums
from moodbench.features.create import COMPLETE, SCHEMA, reason
from moodbench.features.hdf5 import UnreadableError, in_words, open_hdf5, stored_texts
from moodbench.features.raw import read_into, write_from
from moodbench.features.seal import Seal, check_part
from moodbench.sizes import many
from moodbench.workspace import ModelName

READABLE = (1, SCHEMA)
"""Schema 1 has no names of classes and no seal."""

PENDING, DONE, SKIPPED = 0, 1, 2

_CHECK_ROWS = 4096
_DAMAGED = "it is damaged or foreign: remove it, then extract or import again"

_OVERFLOW = "half precision overflows in some networks: try --precision fp32"
_NOT_FINITE = {
    "bf16": _OVERFLOW,
    "fp16": _OVERFLOW,
    "fp32": "the weights are damaged, or not those of this network: check the checkpoint",
}
"""What to do about rows with NaN, by the precision they were computed in; imported ones have none."""


@dataclass(frozen=True)
class _Place:
    """Where an array lies in the file, what type its numbers have, and the shape of a row."""

    offset: int
    kind: np.dtype[Any]
    width: tuple[int, ...]

    def of(self, row: int) -> int:
        """Return the offset of a row."""
        return self.offset + row * math.prod(self.width) * self.kind.itemsize


class FeatureCache:
    """An open cache file. Use as a context manager.

    Attributes
    ----------
    rows, dim, classes : int, int, int or None
        N, D and C.
    class_names : tuple of str, or None
        K names of the classes that labels stand for; None where they are unknown.
    head : str or None
        Digest of the head that logits were made with; None where the file does not say it, or there was none.
    sealed : bool
        Whether everything that is no row was compared; caches of schema 1 cannot be.
    provenance : dict
        What the rows were made from.
    """

    rows: int
    dim: int
    classes: int | None
    class_names: tuple[str, ...] | None
    head: str | None
    model: str
    dataset: str
    provenance: dict[str, Any]

    def __init__(self, file: Path, *, write: bool = False) -> None:
        """Open `file`, read-only unless `write`.

        Raises
        ------
        CacheError
            The file is missing, truncated, damaged, no HDF5, no cache of ours, of another schema, or lies in the place
            of another cache.
        """
        self.file = file
        if not file.exists():
            raise CacheError("there is no such cache", file=file, fix="run moodbench extract or moodbench import first")
        with self._in_words("this is no readable HDF5 file"):
            self._seal = open_hdf5(file, self._inspect)
            self._stream = file.open("r+b" if write else "rb", buffering=0)
        self.sealed = self._seal is not None

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        """Turn whatever the library raises into an error that says `what`."""
        try:
            with in_words():
                yield
        except UnreadableError as error:
            raise CacheError(f"{what} ({error})", file=self.file, fix=_DAMAGED) from None

    def _inspect(self, h5: Any, seal: Seal | None) -> None:
        attributes = h5.attrs
        schema = attributes.get("moodbench_schema")
        if schema is None:
            raise CacheError(
                "this HDF5 file is not a moodbench cache", file=self.file, fix="move it out of the cache folder"
            )
        if int(schema) not in READABLE:
            raise CacheError(
                f"the cache has schema {int(schema)}; this version of moodbench reads schemas up to {SCHEMA}",
                file=self.file,
                fix="extract again with this version, or use the version that wrote it",
            )
        if int(schema) > 1 and seal is None:
            raise UnreadableError("its seal is damaged")
        self._check_arrays(h5)
        try:
            self.provenance = dict(json.loads(attributes["provenance"]))
            self.model, self.dataset = str(attributes["model"]), str(attributes["dataset"])
            self.head = str(attributes["head"]) if "head" in attributes else None
            self.complete = bool(attributes["complete"])
        except (KeyError, ValueError, TypeError) as error:
            raise UnreadableError(f"it lacks a part: {error}") from None
        self._check_place()

    def _check_arrays(self, h5: Any) -> None:
        """Refuse arrays of other types and shapes before anything of them is read: sizes could be made up."""
        there = {name: _array(h5, name) for name in ("features", "labels", "status", "crc32", "ids")}
        there |= {"logits": _array(h5, "logits")} if "logits" in h5 else {}
        self.rows, self.dim = map(int, there["features"].shape)
        self.classes = int(there["logits"].shape[1]) if "logits" in there else None
        n = (self.rows,)
        wanted = {"features": ("<f4", (*n, self.dim)), "labels": ("<i8", n), "status": ("|u1", n), "crc32": ("<u4", n)}
        wanted |= {} if self.classes is None else {"logits": ("<f4", (self.rows, self.classes))}
        types = {name: array.dtype for name, array in there.items()}  # asked once: that is what opening costs
        for name, (kind, shape) in wanted.items():
            if (types[name].str, there[name].shape) != (kind, shape):
                raise UnreadableError(f"its '{name}' are {types[name].str} {there[name].shape}, not {kind} {shape}")
        if types["ids"].kind != "S" or there["ids"].shape != n:
            raise UnreadableError(f"its 'ids' are {types['ids'].str} {there['ids'].shape}")
        self._places: dict[str, _Place] = {}
        for name in (*wanted, "ids"):
            offset, length = there[name].id.get_offset(), there[name].size * types[name].itemsize
            if length and (offset is None or not 0 < offset <= self.file.stat().st_size - length):
                raise UnreadableError(f"its '{name}' are truncated, or not in one piece")
            self._places[name] = _Place(offset or 0, np.dtype(types[name].str), there[name].shape[1:])
        self.class_names = stored_texts(_array(h5, "classes")[:]) if "classes" in h5 else None

    def _check_place(self) -> None:
        """Refuse the cache of another model or dataset; hidden files have no place yet."""
        if self.file.name.startswith("."):
            return
        try:
            folder = ModelName.parse(self.model).folder
        except UsageError as error:
            raise UnreadableError(error.what) from None
        if (folder, self.dataset) != (self.file.parent.name, self.file.stem):
            raise CacheMismatchError(
                f"this is the cache of '{self.model}' on '{self.dataset}', in the place of another",
                file=self.file,
                fix=f"move it back to {Path(folder, self.dataset)}.h5, or make it again under the name that is meant",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64, -1 where unknown."""
        labels: NDArray[np.int64] = self.part("labels")
        return labels

    @cached_property
    def ids(self) -> list[str]:
        """N image paths or running numbers."""
        return list(stored_texts(self.part("ids")))

    def part(self, name: str) -> Any:
        """Return an array that never changes, once it was compared with the seal."""
        with self._in_words("the cache cannot be read"):
            if self._seal is not None:
                with self.file.open("rb") as stream:
                    check_part(stream, self._seal, name)
        return self._rows(name)

    def _rows(self, name: str, rows: slice = slice(None)) -> Any:
        """Read rows of an array."""
        place = self._places[name]
        start, stop, _ = rows.indices(self.rows)
        array = np.empty((stop - start, *place.width), place.kind)
        with self._in_words("the cache cannot be read"):
            read_into(self._stream.fileno(), array, place.of(start))
        return array

    def _put(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write rows of an array."""
        place = self._places[name]
        write_from(self._stream.fileno(), np.ascontiguousarray(values, place.kind), place.of(start))

    @property
    def status(self) -> NDArray[np.uint8]:
        """(N,) uint8, see the module's table."""
        status: NDArray[np.uint8] = self._rows("status")
        return status

    @property
    def checksums(self) -> NDArray[np.uint32]:
        """(N,) uint32, 0 where a row is not there yet."""
        checksums: NDArray[np.uint32] = self._rows("crc32")
        return checksums

    @property
    def fingerprint(self) -> str:
        """SHA-256 over checksums, shapes and names of classes: equal for equal contents."""
        digest = hashlib.sha256(f"{self.rows},{self.dim},{self.classes};".encode())
        digest.update(self.checksums.astype("<u4").tobytes())
        if self.class_names is not None:
            digest.update("\0".join(self.class_names).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    @property
    def lost_rows(self) -> NDArray[np.intp]:
        """Rows that are not there: damage, in a complete cache, as a power cut or a disk leaves it."""
        return np.flatnonzero((self.checksums == 0) | ~np.isin(self.status, (DONE, SKIPPED)))

    def refuse_lost_rows(self) -> None:
        """Raise a `CacheError` if rows of a complete cache are not there."""
        lost = self.lost_rows
        if lost.size:
            shown = ", ".join(map(str, lost[:5].tolist())) + (", …" if lost.size > 5 else "")
            what = f"{many(lost.size, 'row is', 'rows are')} lost from a complete cache: {shown}"
            raise CacheError(what, file=self.file, fix=self.how_to_replace)

    @property
    def how_to_replace(self) -> str:
        """What to do about a damaged cache."""
        return (
            "the file was damaged after it was written, by a disk or a power cut: moodbench cache remove "
            f"--model {self.model} --dataset {self.dataset}, then the same moodbench extract or import as before"
        )

    def write(
        self,
        start: int,
        features: NDArray[np.float32],
        logits: NDArray[np.float32] | None,
        status: NDArray[np.uint8],
    ) -> None:
        """Write rows ``start, start + 1, …`` and then their checksums.

        Raises
        ------
        CacheError
            A row that is not skipped has NaN or infinity, or the disk is full. Rows written before stay.
        """
        rows = slice(start, start + len(features))
        self._refuse_non_finite(start, features, logits)
        checksums = row_checksums(features, logits, self.labels[rows], status)
        try:
            self._put("features", start, features)
            if logits is not None:
                self._put("logits", start, logits)
            self._put("status", start, status)
            self._put("crc32", start, checksums)
        except OSError as error:
            raise CacheError(
                f"rows {start} to {rows.stop - 1} could not be written: {reason(error)}",
                file=self.file,
                fix="make room, then run the same command again: it goes on where it stopped",
            ) from None

    def _refuse_non_finite(self, start: int, features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> None:
        bad = np.flatnonzero(~_finite(features, logits))
        if bad.size:
            names = ", ".join(f"{start + i} ('{self.ids[start + i]}')" for i in bad[:3])
            raise CacheError(
                f"{many(bad.size, 'row has', 'rows have')} NaN or infinite features or logits, the first: {names}",
                file=self.file,
                fix=_NOT_FINITE.get(self.provenance.get("precision", ""), "mend them where they were computed"),
            )

    def finish(self) -> None:
        """Mark the cache as complete, once its rows are on the disk.

        Raises
        ------
        CacheError
            A row was not written, or the disk cannot take what was.
        """
        if self.lost_rows.size:
            raise CacheError(f"{many(self.lost_rows.size, 'row was', 'rows were')} not written", file=self.file)
        try:
            os.fsync(self._stream.fileno())
            if self._seal is not None:
                write_from(self._stream.fileno(), np.ones(1, np.uint8), self._seal.free[COMPLETE][0])
            else:
                with h5py.File(self.file, "r+", locking=False) as h5:
                    h5.attrs.modify(COMPLETE, np.uint8(1))
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise CacheError(
                f"the cache could not be written to the disk: {reason(error)}",
                file=self.file,
                fix="mend the disk or make room, then run the same command again",
            ) from None
        self.complete = True

    def first_missing(self) -> int:
        """Return the first row that is not there or whose bytes do not match its checksum; N if all are there."""
        for start, missing, damaged in self._blocks():
            bad = np.flatnonzero(missing | damaged)
            if bad.size:
                return start + int(bad[0])
        return self.rows

    def damaged_rows(self) -> list[int]:
        """Return the rows whose bytes do not match their checksum, or that a complete cache lacks.

        Raises
        ------
        CacheError
            A row is not finite.
        """
        rows: list[int] = []
        for start, missing, damaged in self._blocks(finite=True):
            rows += (start + np.flatnonzero(missing | damaged if self.complete else damaged)).tolist()
        return rows

    def _blocks(self, *, finite: bool = False) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]]:
        """Walk through the file: first row, which rows are not there, which are damaged. `finite` also refuses NaN."""
        for start in range(0, self.rows, _CHECK_ROWS):
            rows = slice(start, min(start + _CHECK_ROWS, self.rows))
            found = self._rows("crc32", rows)
            if not found.any():
                yield start, found == 0, found != 0
                continue
            features, status = self._rows("features", rows), self._rows("status", rows)
            logits = self._rows("logits", rows) if self.classes is not None else None
            same = found == row_checksums(features, logits, self.labels[rows], status)
            bad = np.flatnonzero(same & ~_finite(features, logits)) if finite else np.empty(0, np.intp)
            if bad.size:
                raise CacheError(
                    f"NaN or infinity in row {start + int(bad[0])}", file=self.file, fix="extract or import it again"
                )
            yield start, found == 0, (found != 0) & ~same

    def offset(self, name: str) -> int:
        """Byte offset of the contiguous array `name` in the file: rows can be read without HDF5."""
        return self._places[name].offset


def _array(h5: Any, name: str) -> Any:
    """Return a dataset of the file."""
    found = h5.get(name)
    if not hasattr(found, "chunks"):
        raise UnreadableError(f"it lacks a part: {name}")
    return found


def _finite(features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = np.asarray(np.isfinite(features).all(axis=1))
    return good if logits is None else np.asarray(good & np.isfinite(logits).all(axis=1))
