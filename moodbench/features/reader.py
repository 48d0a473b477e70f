"""Reads cached rows in blocks, at disk speed and in constant memory, without HDF5 in the way.

Every block is compared with the checksums of its rows as it is read: whatever rots on the disk is an error that names
file and rows, never a number.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.checksums import WRONG_SUM, feature_checksums, finish_checksums
from moodbench.features.pieces import Reading, opened
from moodbench.features.verify import check_cache
from moodbench.shard_names import has_plan
from moodbench.sizes import many


@dataclass(frozen=True)
class RowBlock:
    """Rows that follow each other in a cache: features (B, D), logits (B, C) or None, labels (B,).

    `views` are the same images' rows in the caches that lie beside (`RowReader.beside`).
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    labels: NDArray[np.int64]
    views: Mapping[str, RowBlock] = field(default_factory=dict)

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> RowBlock:
        """Return some of the rows."""
        logits = None if self.logits is None else self.logits[chosen]
        views = {name: view.rows(chosen) for name, view in self.views.items()}
        return RowBlock(self.features[chosen], logits, self.labels[chosen], views)


class _Watch:
    """Compares rows with their checksums as they are read.

    A checksum covers features and logits. A pass that wants features alone reads the logits too, once: what the
    checksum of the features was then is remembered for the passes that follow. So is that of the whole block, which
    takes a quarter of the time and does not hold up other threads: passes over the same blocks compare it alone.
    """

    def __init__(self, cache: FeatureCache) -> None:
        self.status = cache.status
        self._files = [(piece.stop, piece.file, cache.how_to_replace(piece.file)) for piece in cache.pieces]
        self._labels, self._stored = cache.labels, cache.checksums
        self._logits = cache.classes is not None
        self._features = np.zeros(cache.rows, np.uint32)
        self._known = np.zeros(cache.rows, np.bool_)
        self._whole: dict[tuple[str, int, int], int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: not what was seen here."""
        return {**self.__dict__, "_features": None, "_known": None, "_whole": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._features = np.zeros(len(self.status), np.uint32)
        self._known = np.zeros(len(self.status), np.bool_)

    def knows(self, rows: slice) -> bool:
        """Say whether these rows were compared before."""
        return bool(self._known[rows].all())

    def check(self, rows: slice, features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> None:
        """Raise a `CacheError` unless rows are as they were written. Without logits they must be known already."""
        arrays = {"features": features} if logits is None else {"features": features, "logits": logits}
        whole = {(name, rows.start, rows.stop): crc32(array) for name, array in arrays.items()}
        if whole.items() <= self._whole.items():
            return
        begun = feature_checksums(features)
        if self._logits and logits is None:
            same = begun == self._features[rows]
        else:
            same = finish_checksums(begun, logits, self._labels[rows], self.status[rows]) == self._stored[rows]
        self._refuse(WRONG_SUM, rows.start + np.flatnonzero(~same))
        if not self.knows(rows):
            for array in arrays.values():
                if not _surely_finite(array):
                    self._refuse(
                        ("row has NaN or infinity", "rows have NaN or infinity"),
                        rows.start + np.flatnonzero(~np.isfinite(array).all(axis=1)),
                    )
            self._features[rows], self._known[rows] = begun, True
        self._whole |= whole

    def _refuse(self, what: tuple[str, str], rows: NDArray[np.intp]) -> None:
        if rows.size:
            first = ", ".join(map(str, rows[:5].tolist())) + (", …" if rows.size > 5 else "")
            file, fix = next((file, fix) for stop, file, fix in self._files if rows[0] < stop)
            raise CacheError(f"{many(rows.size, *what)}: {first}", file=file, fix=fix)


def _surely_finite(array: NDArray[np.float32]) -> bool:
    """Say whether the sum is finite, which is sooner known than for each number; large ones may overflow it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()))


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
    head : str or None
        Digest of the head that the logits were made with; None where it is not noted.
    provenance : dict
    fingerprint : str
        Of the cache's contents.
    views : mapping of name to RowReader
        Readers of other vectors of the same images, whose rows are read along (`beside`).

    Raises
    ------
    CacheError
        The cache is incomplete, damaged, or empty.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.views: Mapping[str, RowReader] = {}
        if not has_plan(file):  # else shards may not be joined yet, which is said below
            with opened(file):  # what the system objects to
                pass
        with FeatureCache(file) as cache:
            if not cache.complete:
                raise CacheError("the cache is incomplete", file=file, fix="run the same moodbench extract again")
            cache.refuse_lost_rows()
            if not cache.sealed:
                check_cache(file)  # nothing else watches over its labels, and they are used before the rows are read
            self._watch = _Watch(cache)
            self._done = self._watch.status == DONE
            self._all = cache.rows
            self.dim, self.classes = cache.dim, cache.classes
            self.labels: NDArray[np.int64] = cache.labels[self._done]
            self.class_names = cache.class_names
            self.head = cache.head
            self.provenance = cache.provenance
            self.fingerprint = cache.fingerprint
            self._pieces = cache.pieces
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become the reader that was pickled, in another process or on another machine, of the same unchanged files."""
        self.__dict__ |= state
        self._pieces = tuple(piece.here() for piece in self._pieces)

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

    def beside(self, views: Mapping[str, RowReader]) -> RowReader:
        """Return a reader of the same rows that reads those of `views`, by name, along.

        Raises
        ------
        CacheMismatchError
            One has other images, another order of them, or has left out others.
        """
        with FeatureCache(self.file) as own:
            for view in views.values():
                with FeatureCache(view.file) as its:
                    same = np.array_equal(its.part("ids"), own.part("ids"))
                    name = its.model
                if not same or not np.array_equal(self._done, view._done):
                    what = "left out other images than" if same else "has other images, or in another order, than"
                    raise CacheMismatchError(
                        f"the cache of '{name}' {what} '{own.model}' on '{own.dataset}'",
                        file=view.file,
                        fix=f"make both from the same images: moodbench cache remove --model {name} --dataset "
                        f"{own.dataset}, then extract it again",
                    )
        other = copy.copy(self)
        other.views = dict(views)
        return other

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
        return self.part(wanted)

    def part(self, wanted: NDArray[np.bool_]) -> RowReader:
        """Return a reader of the rows where `wanted`, (rows,), is true."""
        part = copy.copy(self)
        part._done = self._done.copy()
        part._done[self._done] = wanted
        part.labels = self.labels[wanted]
        part.rows = int(wanted.sum())
        part.views = {name: view.part(wanted) for name, view in self.views.items()}
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
                yield block.rows(rows)

    def before(self, row: int) -> int:
        """Return how many of the rows come before row `row` of the file, which counts those that are left out too."""
        return int(self._done[:row].sum())

    def ranges(self, size: int) -> list[range]:
        """Return ranges of `size` rows of the file, one after the other, but those without a row that is read."""
        parts = [range(start, min(start + size, self._all)) for start in range(0, self._all, size)]
        return [part for part in parts if self._done[part.start : part.stop].any()]

    def blocks(self, size: int, *, logits: bool = True, within: range | None = None) -> Iterator[RowBlock]:
        """Yield the rows in order, `size` at a time (fewer where rows are skipped), with those of views.

        Parameters
        ----------
        size : int
        logits : bool
            Of features alone less is read.
        within : range, optional
            These rows of the file alone (`ranges`); a block begins with the first.

        Raises
        ------
        CacheError
            Rows do not match their checksums, or are not finite; or the file was removed, replaced or changed since it
            was opened: passes over two files must never be mixed.
        """
        within = range(self._all) if within is None else within
        its = {name: view.blocks(size, logits=logits, within=within) for name, view in self.views.items()}
        for block in self._own_blocks(size, within, logits=logits):
            yield replace(block, views={name: next(blocks) for name, blocks in its.items()}) if its else block

    def _own_blocks(self, size: int, within: range, *, logits: bool) -> Iterator[RowBlock]:
        with Reading(self._pieces) as reading:
            seen = self.before(within.start)
            for start in range(within.start, within.stop, size):
                count = min(size, within.stop - start)
                rows = slice(start, start + count)
                done = self._done[rows]
                features = reading.rows("features", start, count)
                values = None
                if self.classes is not None and (logits or not self._watch.knows(rows)):
                    values = reading.rows("logits", start, count)
                self._watch.check(rows, features, values)
                values = values if logits else None
                if not done.all():
                    features = features[done]
                    values = None if values is None else values[done]
                if len(features):
                    yield RowBlock(features, values, self.labels[seen : seen + len(features)])
                seen += len(features)
