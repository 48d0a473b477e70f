"""Reads cached rows in blocks, at disk speed and in constant memory, without HDF5 in the way."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.verify import check_cache

_AGAIN = "run the same command again; if the cache is gone, make it with moodbench extract or moodbench import first"


@dataclass(frozen=True)
class RowBlock:
    """Rows that follow each other in a cache: features (B, D), logits (B, C) or None, labels (B,)."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    labels: NDArray[np.int64]


class RowReader:
    """The rows of one complete, checked cache that are done (skipped ones are left out).

    Attributes
    ----------
    rows : int
        Number of rows that are done.
    skipped : int
        Number of rows left out.
    dim, classes : int, int or None
        Widths of features and logits.
    labels : (rows,) int64
    class_names : tuple of str, or None
        Names of the classes that labels stand for; None where they are unknown.
    provenance : dict
    fingerprint : str
        Of the cache's contents.

    Raises
    ------
    CacheError
        The cache is incomplete, damaged, or empty.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        with _open(file) as descriptor:
            self._state = _state(descriptor)
        with FeatureCache(file) as cache:
            if not cache.complete:
                raise CacheError("the cache is incomplete", file=file, fix="run the same moodbench extract again")
            check_cache(file)
            self._done = cache.status == DONE
            self._all = cache.rows
            self.dim, self.classes = cache.dim, cache.classes
            self.labels: NDArray[np.int64] = cache.labels[self._done]
            self.class_names = cache.class_names
            self.provenance = cache.provenance
            self.fingerprint = cache.fingerprint
            self._features = cache.offset("features")
            self._logits = cache.offset("logits") if cache.classes is not None else None
        if self.class_names is not None and self.labels.max(initial=-1) >= len(self.class_names):
            raise CacheError(
                f"there is a label {self.labels.max()} and {len(self.class_names)} names of classes: damaged",
                file=file,
                fix="remove it with moodbench cache remove, then make it again",
            )
        self.rows = int(self._done.sum())
        self.skipped = self._all - self.rows
        if self.rows == 0:
            raise CacheError("the cache has no rows that could be scored", file=file)

    @property
    def ids(self) -> list[str]:
        """The ids of the rows: image paths or running numbers."""
        with FeatureCache(self.file) as cache:
            return [name for name, done in zip(cache.ids, self._done, strict=True) if done]

    @property
    def limit(self) -> int | None:
        """The `--limit` of a trial extraction."""
        limit: int | None = self.provenance.get("limit")
        return limit

    def relabelled(self, labels: NDArray[np.int64]) -> RowReader:
        """Return a reader of the same rows with other labels, (rows,) int64: those of another numbering."""
        other = copy.copy(self)
        other.labels = labels
        return other

    def of_labels(self, labels: Iterable[int]) -> RowReader:
        """Return a reader of the rows with these labels alone.

        Raises
        ------
        CacheError
            There are none.
        """
        wanted = np.isin(self.labels, list(labels))
        if not wanted.any():
            raise CacheError(
                f"no row has a label of {', '.join(map(str, labels))}", file=self.file, fix="the images need labels"
            )
        part = copy.copy(self)
        part._done = self._done.copy()
        part._done[self._done] = wanted
        part.labels = self.labels[wanted]
        part.rows = int(wanted.sum())
        return part

    def spread(self, count: int, size: int, *, logits: bool = True) -> Iterator[RowBlock]:
        """Yield `count` of the rows, spread evenly over the dataset, out of blocks of `size` rows."""
        chosen = np.arange(count) * self.rows // count
        seen = 0
        for block in self.blocks(size, logits=logits):
            first, last = np.searchsorted(chosen, (seen, seen + len(block.labels)))
            rows = chosen[first:last] - seen
            seen += len(block.labels)
            if len(rows):
                values = None if block.logits is None else block.logits[rows]
                yield RowBlock(block.features[rows], values, block.labels[rows])

    def blocks(self, size: int, *, logits: bool = True) -> Iterator[RowBlock]:
        """Yield the rows in order, `size` at a time (fewer where rows are skipped).

        Raises
        ------
        CacheError
            The file was removed, replaced or changed since it was opened: passes over two files must never be mixed.
        """
        with _open(self.file) as descriptor:
            if _state(descriptor) != self._state:
                raise CacheError("the cache was replaced or changed while it was read", file=self.file, fix=_AGAIN)
            seen = 0
            for start in range(0, self._all, size):
                count = min(size, self._all - start)
                done = self._done[start : start + count]
                features = self._read(descriptor, self._features, start, count, self.dim)
                values = None
                if logits and self._logits is not None and self.classes is not None:
                    values = self._read(descriptor, self._logits, start, count, self.classes)
                if not done.all():
                    features = features[done]
                    values = None if values is None else values[done]
                if len(features):
                    yield RowBlock(features, values, self.labels[seen : seen + len(features)])
                seen += len(features)

    def _read(self, descriptor: int, offset: int, start: int, count: int, width: int) -> NDArray[np.float32]:
        """Read `count` rows straight into an array: no page faults of a mapping, no copy."""
        rows: NDArray[np.float32] = np.empty((count, width), np.dtype("<f4"))
        view = memoryview(rows).cast("B")  # type: ignore[arg-type]
        position = offset + start * width * 4
        while view:
            try:
                read = os.preadv(descriptor, [view], position)
            except OSError as error:
                raise CacheError(f"the cache cannot be read: {error.strerror}", file=self.file) from None
            if read == 0:
                raise CacheError("the cache became shorter while it was read", file=self.file, fix=_AGAIN)
            view, position = view[read:], position + read
        return rows


@contextmanager
def _open(file: Path) -> Iterator[int]:
    """Open the file to read from its descriptor; whatever the system then objects to is a `CacheError`."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CacheError(f"the cache cannot be read: {error.strerror}", file=file, fix=_AGAIN) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _state(descriptor: int) -> tuple[int, ...]:
    """Return what tells this file, in this state, from every other."""
    stat = os.fstat(descriptor)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
