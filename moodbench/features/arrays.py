"""Arrays from files that other programs wrote: ``.npz``, ``.npy`` and pickles that hold nothing but NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from moodbench.errors import DataError, MoodbenchError
from moodbench.features.npy import Archive, ArrayOf, StoredArray, held, stored_in_file
from moodbench.pickles import load_pickle
from moodbench.reading import check_regular, open_regular

_ARRAYS = (np.ndarray, np.generic)


class Arrays(Mapping[str, StoredArray]):
    """The arrays of a file by name. What is wrong with one is a `DataError` that names it, whenever it is read."""

    def __init__(self, file: Path, arrays: Mapping[str, Any]) -> None:
        self.file = file
        self._arrays = arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> StoredArray:
        if name not in self._arrays:
            raise KeyError(name)
        try:
            found = self._arrays[name]
            stored = found if isinstance(found, StoredArray) else held(as_array(found, self.file.stat().st_size))
        except Exception as error:  # zip, NumPy and pickle errors have no common base
            raise self._fault(name, error) from None
        return StoredArray(stored.shape, stored.dtype, partial(self._parts, name, stored))

    def _parts(self, name: str, stored: StoredArray, rows: int) -> Iterator[ArrayOf]:
        try:
            yield from stored.parts(rows)
        except Exception as error:
            raise self._fault(name, error) from None

    def _fault(self, name: str, error: Exception) -> MoodbenchError:
        if isinstance(error, MoodbenchError):
            return error
        return DataError(f"no array '{name}' can be read from this file: {_words(error)}", file=self.file)


def load_arrays(file: Path) -> Arrays:
    """Return what a file holds of `features`, `logits`, `labels`, `ids` and `classes`; nothing is read yet.

    Parameters
    ----------
    file : Path
        ``.npz`` or a pickle of a dict with those names; ``.npy`` or a pickle of one array: the features.

    Raises
    ------
    DataError
        The file is missing, of another kind, or holds other things.
    """
    suffix = file.suffix.lower()
    if suffix not in (".npz", ".npy", ".pkl", ".pickle"):
        if file.is_dir():  # which has no suffix as a rule
            check_regular(file, "what is imported", DataError)
        raise DataError(f"'{suffix}' files cannot be imported", file=file, fix="bring a .npz, .npy or .pkl file")
    open_file = partial(open_regular, file, "the file", DataError)
    try:
        if suffix == ".npz":
            return Arrays(file, Archive(open_file))
        if suffix == ".npy":
            return Arrays(file, {"features": stored_in_file(open_file)})
        with open_file() as stream:
            value = load_pickle(stream)
    except MoodbenchError:
        raise
    except Exception as error:  # zip, NumPy and pickle errors have no common base
        raise DataError(f"no arrays can be read from this file: {_words(error)}", file=file) from None
    if isinstance(value, dict):
        return Arrays(file, {_name(name): array for name, array in value.items()})
    return Arrays(file, {"features": value})


def as_array(value: Any, most: int) -> ArrayOf:
    """Return an array of numbers or texts, or what stands for one: a number, a list of numbers, or of such lists.

    Texts of a list come as an array of Python objects: they need not be equally long.

    Parameters
    ----------
    value : object
    most : int
        How many numbers a list may have, with those that occur more than once: as many as its file has bytes.

    Raises
    ------
    ValueError
        It holds anything else, or too much.
    """
    if isinstance(value, _ARRAYS):
        array = np.asarray(value)
    elif isinstance(value, (list, tuple)):
        array = _stacked(value, most)
    elif isinstance(value, (int, float)):
        array = np.asarray(value)
    else:
        raise ValueError(f"it holds a {type(value).__name__}, not an array")
    if array.dtype.kind not in "biufSU" and not _is_texts(array):
        kind = {"c": "complex numbers", "O": "numbers beyond 64 bits"}.get(array.dtype.kind, str(array.dtype))
        raise ValueError(f"it holds {kind}")
    return array


def _stacked(values: list[Any] | tuple[Any, ...], most: int) -> ArrayOf:
    if all(isinstance(value, (str, bytes)) for value in values):
        texts = np.empty(len(values), object)
        texts[:] = values
        return texts
    rows = [value for value in values if isinstance(value, (list, tuple, np.ndarray))]
    if rows and len(rows) < len(values):
        raise ValueError("it holds a list of lists and numbers")
    if sum(row.size if isinstance(row, np.ndarray) else len(row) for row in rows) > most:
        raise ValueError("it holds lists that occur again and again, more numbers than the file has bytes")
    made = [_numbers(row) for row in rows]
    if len({row.shape for row in made}) > 1:
        raise ValueError("it holds rows of different lengths")
    return np.stack(made) if made else _numbers(values)


def _numbers(values: Iterable[Any]) -> ArrayOf:
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    if not all(isinstance(value, (int, float, np.generic)) for value in values):
        raise ValueError("it holds lists of things other than numbers")
    return np.array(values)


def _is_texts(array: ArrayOf) -> bool:
    return array.dtype.kind == "O" and all(isinstance(value, (str, bytes)) for value in array)


def _name(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{error!s:.300}" or type(error).__name__
