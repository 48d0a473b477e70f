"""The feature cache: one HDF5 file per (model, dataset), or a manifest in its place whose rows lie in shards.

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
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError
from moodbench.features.checksums import row_checksums
from moodbench.features.create import reason
from moodbench.features.hdf5 import stored_texts
from moodbench.features.pieces import Piece
from moodbench.features.shards.joined import JoinedCache, how_to_replace
from moodbench.features.shards.manifest import Shard
from moodbench.features.stored import StoredCache
from moodbench.shard_names import PLAN, shards_folder
from moodbench.sizes import many

PENDING, DONE, SKIPPED = 0, 1, 2

_CHECK_ROWS = 4096

_OVERFLOW = "half precision overflows in some networks: try --precision fp32"
_NOT_FINITE = {
    "bf16": _OVERFLOW,
    "fp16": _OVERFLOW,
    "fp32": "the weights are damaged, or not those of this network: check the checkpoint",
}
"""What to do about rows with NaN, by the precision they were computed in; imported ones have none."""


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
    shards : tuple of Shard
        Where the rows lie in shards; else empty.
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
    shards: tuple[Shard, ...]

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
            raise _missing(file)
        stored = StoredCache(file, write=write)
        self._stored: StoredCache | JoinedCache = JoinedCache(stored) if stored.shards else stored
        self.rows, self.dim, self.classes = stored.rows, stored.dim, stored.classes
        self.class_names, self.head, self.provenance = stored.class_names, stored.head, stored.provenance
        self.model, self.dataset, self.complete = stored.model, stored.dataset, stored.complete
        self.sealed, self.shards = stored.seal is not None, stored.shards

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stored.close()

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
        return self._stored.part(name)

    def _rows(self, name: str, rows: slice = slice(None)) -> Any:
        """Read rows of an array."""
        start, stop, _ = rows.indices(self.rows)
        return self._stored.read(name, start, stop)

    @property
    def digest(self) -> str:
        """SHA-256 that tells this complete file from every other (`moodbench.features.shards.manifest`)."""
        return self._own_file.digest

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The files that hold the rows: this one, or the shards."""
        return self._stored.pieces if isinstance(self._stored, JoinedCache) else (self._stored.piece,)

    def rows_of(self, rows: slice) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.uint8]]:
        """Return features, logits and status of rows as they lie there: nothing is compared."""
        logits = self._rows("logits", rows) if self.classes is not None else None
        return self._rows("features", rows), logits, self._rows("status", rows)

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
            where = self.file_of(int(lost[0]))
            raise CacheError(what, file=where, fix=self.how_to_replace(where))

    def file_of(self, row: int) -> Path:
        """Return the file that holds a row: a shard, where there are some."""
        return next((piece.file for piece in self.pieces if piece.start <= row < piece.stop), self.file)

    def how_to_replace(self, file: Path) -> str:
        """Return what to do about a damaged cache; `file` is the one of its pieces."""
        if self.shards:
            return "a disk or a power cut damaged it: " + how_to_replace(self.file, file)
        return (
            "the file was damaged after it was written, by a disk or a power cut: moodbench cache remove "
            f"--model {self.model} --dataset {self.dataset}, then the same moodbench extract or import as before"
        )

    @property
    def _own_file(self) -> StoredCache:
        """The one file of a cache that is not in shards."""
        if isinstance(self._stored, JoinedCache):
            raise TypeError("a cache in shards is written shard by shard")
        return self._stored

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
        stored = self._own_file
        try:
            stored.put("features", start, features)
            if logits is not None:
                stored.put("logits", start, logits)
            stored.put("status", start, status)
            stored.put("crc32", start, checksums)
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
            self._own_file.mark_complete()
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
            features, logits, status = self.rows_of(rows)
            same = found == row_checksums(features, logits, self.labels[rows], status)
            bad = np.flatnonzero(same & ~_finite(features, logits)) if finite else np.empty(0, np.intp)
            if bad.size:
                raise CacheError(
                    f"NaN or infinity in row {start + int(bad[0])}",
                    file=self.file_of(start + int(bad[0])),
                    fix="extract or import it again",
                )
            yield start, found == 0, (found != 0) & ~same

    def offset(self, name: str) -> int:
        """Byte offset of the contiguous array `name` in the file: rows can be read without HDF5."""
        return self._own_file.place(name).offset


def _missing(file: Path) -> CacheError:
    """Say that there is no such cache, or that its shards are not all there yet."""
    folder = shards_folder(file)
    if (folder / PLAN).exists():
        fix = "run the same moodbench extract again, which makes the shards that are missing and joins them"
        return CacheError("the cache is unfinished: its shards were not joined yet", file=folder, fix=fix)
    return CacheError("there is no such cache", file=file, fix="run moodbench extract or moodbench import first")


def _finite(features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = np.asarray(np.isfinite(features).all(axis=1))
    return good if logits is None else np.asarray(good & np.isfinite(logits).all(axis=1))
