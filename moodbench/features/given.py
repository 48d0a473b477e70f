"""What an import is given: arrays of another program, checked before they are read and while they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import DataError
from moodbench.features.arrays import load_arrays
from moodbench.features.npy import BLOCK, StoredArray, held
from moodbench.features.texts import MOST_CLASSES, read_names, read_texts
from moodbench.reading import read_text
from moodbench.sizes import many
from moodbench.types import Head

MOST_ROWS = 20_000_000
"""More than the largest sets of labelled images have; their ids and labels are kept in memory."""

TOLERANCE = 1e-3
"""Largest difference of given logits from features @ W.T + b, relative to the largest logit: features that were stored
in half precision are off by that much."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class GivenRows:
    """The rows of an import. Labels and ids are in memory, features and logits come in blocks.

    Attributes
    ----------
    file : Path
    rows, dim : int
        N and D.
    classes : int or None
        C; None without logits.
    labels : (N,) int64
    ids : sequence of str
    class_names : tuple of str
    """

    file: Path
    features: StoredArray
    logits: StoredArray | None
    head: Head | None
    labels: NDArray[np.int64]
    ids: list[str]
    class_names: tuple[str, ...]

    @property
    def rows(self) -> int:
        """N."""
        return self.features.shape[0]

    @property
    def dim(self) -> int:
        """D."""
        return self.features.shape[1]

    @property
    def classes(self) -> int | None:
        """C, or None without logits."""
        return self.head.classes if self.head is not None else None if self.logits is None else self.logits.shape[1]

    def blocks(self) -> Iterator[tuple[int, Rows, Rows | None]]:
        """Yield (first row, features (B, D), logits (B, C) or None) as float32, finite.

        Raises
        ------
        DataError
            At the end: rows have NaN, infinity or values beyond float32, or the logits are not those of the head. No
            such row is yielded before.
        """
        rows = max(1, BLOCK // (4 * (self.dim + (self.classes or 0))))
        features, logits = _Finite(self.file, "features"), _Finite(self.file, "logits")
        given: Iterator[Any] = repeat(None) if self.logits is None else self.logits.parts(rows)
        error = largest = 0.0
        start = 0
        for x, y in zip(self.features.parts(rows), given, strict=self.logits is not None):
            x = features.rows(start, x)
            y = None if y is None else logits.rows(start, y)
            if self.head is not None and not features.bad and not logits.bad:
                with np.errstate(all="ignore"):  # what overflows becomes infinite, and is refused
                    computed = x @ self.head.weight.T + self.head.bias
                if y is None:
                    y = logits.rows(start, computed)
                else:
                    error = max(error, float(np.abs(computed - y).max()))
                    largest = max(largest, float(np.abs(y).max()))
            if not features.bad and not logits.bad:
                yield start, x, y
            start += len(x)
        features.finish("leave those rows out")
        logits.finish("leave those rows out" if self.logits is not None else "the head does not fit these features")
        if not error <= TOLERANCE * max(largest, 1e-12):
            raise DataError(
                "the logits are not features @ weight.T + bias: they differ by "
                f"{error / max(largest, 1e-12):.2g} of the largest logit",
                file=self.file,
                fix="the features are not what enters the head, or the head belongs to another model",
            )


class _Finite:
    """Converts blocks to float32 and remembers rows that are not finite."""

    def __init__(self, file: Path, name: str) -> None:
        self._file, self._name = file, name
        self.bad: list[int] = []
        self._count = 0

    def rows(self, start: int, block: Any) -> Rows:
        with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused
            rows = np.ascontiguousarray(block, np.float32)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        self._count += len(bad)
        self.bad += (start + bad[:5]).tolist()[: 5 - len(self.bad)]
        return rows

    def finish(self, fix: str) -> None:
        """Raise the `DataError` if there was any."""
        if self._count:
            shown = ", ".join(map(str, self.bad)) + (", …" if self._count > len(self.bad) else "")
            raise DataError(
                f"'{self._name}' has NaN, infinity or values beyond float32 in {many(self._count, 'row')}: {shown}",
                file=self._file,
                fix=fix,
            )


def read_given(file: Path, head: Head | None, labels: Path | None) -> GivenRows:
    """Read what the headers of `file` say and compare it, then labels, ids and names of classes.

    Raises
    ------
    DataError
        An array that is needed is missing, is of another kind, or does not fit the others.
    """
    raw = load_arrays(file)
    if "features" not in raw:
        raise DataError(f"the file has no array 'features'; it holds {sorted(raw)}", file=file)
    features = _numbers(file, "features", raw["features"])
    n, dim = features.shape
    if n == 0:
        raise DataError("the file has no rows", file=file)
    if n > MOST_ROWS:
        raise DataError(f"the file has {n} rows, and {MOST_ROWS} are the limit", file=file)
    if head is not None and head.dim != dim:
        raise DataError(f"the features are {dim} wide, the head expects {head.dim}", file=file)
    logits = _numbers(file, "logits", raw["logits"]) if "logits" in raw else None
    if logits is not None and logits.shape[0] != n:
        raise DataError(f"{n} rows of features, but {logits.shape[0]} of logits", file=file)
    if logits is not None and logits.shape[1] > MOST_CLASSES:
        raise DataError(f"the logits have {logits.shape[1]} classes, and {MOST_CLASSES} are the limit", file=file)
    if logits is not None and head is not None and logits.shape[1] != head.classes:
        raise DataError(f"the logits have {logits.shape[1]} classes, the head {head.classes}", file=file)
    if labels is not None:
        numbers = _labels(labels, read_labels(labels), n)
    else:
        numbers = _labels(file, raw["labels"], n) if "labels" in raw else np.full(n, -1, np.int64)
    ids = read_texts(file, "ids", raw["ids"], n) if "ids" in raw else [str(i) for i in range(n)]
    names = _class_names(file, raw["classes"], numbers) if "classes" in raw else ()
    return GivenRows(file, features, logits, head, numbers, ids, names)


def _numbers(file: Path, name: str, array: StoredArray) -> StoredArray:
    if len(array.shape) != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu":
        raise DataError(f"'{name}' should be numbers of shape (N, width), found {array.dtype} {array.shape}", file=file)
    return array


def _labels(file: Path, found: StoredArray, n: int) -> NDArray[np.int64]:
    if found.shape != (n,) or found.dtype.kind not in "iuf":
        raise DataError(f"labels should be {n} integers, found {found.dtype} {found.shape}", file=file)
    labels = found.whole()
    if labels.dtype.kind == "f":
        if not np.array_equal(labels, np.floor(labels)):
            raise DataError(f"labels should be {n} integers, found {labels.dtype} with fractions or NaN", file=file)
        labels = np.clip(labels, -2, MOST_CLASSES).astype(np.int64)
    if labels.min() < -1:
        raise DataError(f"labels are class numbers, or -1 where unknown; found {labels.min()}", file=file)
    if labels.max() >= MOST_CLASSES:
        raise DataError(f"labels are class numbers counted from 0; found {labels.max()}", file=file)
    return labels.astype(np.int64)


def _class_names(file: Path, found: StoredArray, labels: NDArray[np.int64]) -> tuple[str, ...]:
    names = read_names(file, found)
    if labels.max() >= len(names):
        raise DataError(f"there are {len(names)} 'classes', and a label {labels.max()}: they count from 0", file=file)
    return names


def read_labels(file: Path) -> StoredArray:
    """Read labels from ``.npy``, ``.npz`` or ``.pkl`` (array `labels` or the only one), or text, one integer a line."""
    if file.suffix.lower() in (".npy", ".npz", ".pkl", ".pickle"):
        arrays = load_arrays(file)
        if not arrays:
            raise DataError("the file holds no array", file=file)
        return arrays["labels"] if "labels" in arrays else arrays[next(iter(arrays))]
    text = read_text(file, "the file with labels", DataError)
    try:
        return held(np.array([int(line) for line in text.split()], np.int64))
    except (ValueError, OverflowError) as error:
        raise DataError(f"no labels can be read from this file: {error!s:.200}", file=file) from None
