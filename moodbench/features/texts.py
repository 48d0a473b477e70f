"""Arrays of texts that other programs wrote: ids of rows, names of classes."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

from moodbench.errors import DataError
from moodbench.features.npy import BLOCK, StoredArray

MOST_CLASSES = 1_000_000
"""Labels from here on are no class numbers but something else."""

MOST_NAME = 4096
"""Characters of an id or of the name of a class, as an array of texts declares them."""


def read_texts(file: Path, name: str, array: StoredArray, n: int | None = None) -> list[str]:
    """Return `n` texts, or as many as there are; numbers become texts where their count is known."""
    kinds = "USO" if n is None else "USOiu"
    letter = "K" if n is None else "N"
    if len(array.shape) != 1 or array.dtype.kind not in kinds:
        raise DataError(f"'{name}' should be texts of shape ({letter},), found {array.dtype} {array.shape}", file=file)
    if n is not None and array.shape[0] != n:
        raise DataError(f"{n} rows of features, but {array.shape[0]} {name}", file=file)
    if array.dtype.kind in "US" and array.dtype.itemsize > MOST_NAME * 4:
        raise DataError(f"'{name}' has texts of more than {MOST_NAME} characters", file=file)
    width = max(1, BLOCK // array.dtype.itemsize)
    try:
        values = chain.from_iterable(part.tolist() for part in array.parts(width))
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        fault = next((text for text in texts if "\0" in text or len(text) > MOST_NAME or text.encode() is None), None)
    except (UnicodeError, ValueError) as error:
        raise DataError(f"'{name}' are not all UTF-8: {error}", file=file) from None
    if fault is not None:
        raise DataError(f"'{name}' has a text with a zero in it, or of more than {MOST_NAME} characters", file=file)
    return texts


def read_names(file: Path, found: StoredArray) -> tuple[str, ...]:
    """Return the array `classes` as the names of classes: different texts, none of them empty."""
    if len(found.shape) == 1 and found.shape[0] > MOST_CLASSES:
        raise DataError(f"there are {found.shape[0]} 'classes', and {MOST_CLASSES} are the limit", file=file)
    names = tuple(read_texts(file, "classes", found))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or "" in names:
        what = f"'{twice[0]}' twice" if twice else "a name that is empty"
        raise DataError(f"'classes' has {what}: names of classes tell them apart", file=file)
    return names
