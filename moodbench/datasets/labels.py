"""How images get their labels. The rules are those of `moodbench.catalog.LABEL_RULES`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import DataError
from moodbench.reading import read_text

UNKNOWN = -1
"""The label of an image whose class is not known."""

Labels = NDArray[np.int64]

_NUMBER = re.compile(r"[0-9]{1,4}")

MOST_CLASSES = 100_000
"""Folders that are called by a larger number are no classes."""


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """Return the WordNet ids of the 1000 classes of ImageNet-1k, sorted: class *i* is the *i*-th.

    This is the order of torchvision, timm and OpenOOD. The development kit of ILSVRC 2012, and lists made from it,
    number the classes otherwise: not one of the 1000 has the same number there.
    """
    text = files("moodbench.datasets").joinpath("imagenet_wnids.txt").read_text(encoding="ascii")
    return tuple(text.split())


def as_labels(values: Iterable[int]) -> Labels:
    """Return (N,) int64."""
    return np.fromiter(values, dtype=np.int64)


def unknown_labels(count: int) -> Labels:
    """Return -1 for every image."""
    return np.full(count, UNKNOWN, dtype=np.int64)


def folder_labels(ids: Sequence[str], classes: Sequence[str]) -> Labels:
    """Return the index of each image's first-level folder in `classes`; -1 for an image in none of them."""
    index = {name: i for i, name in enumerate(classes)}
    return as_labels(index.get(name.split("/", 1)[0], UNKNOWN) if "/" in name else UNKNOWN for name in ids)


def listed_labels(ids: Sequence[str], numbers: Mapping[str, int]) -> Labels:
    """Return the number that a list gives each image; -1 for an image without one."""
    return as_labels(numbers.get(name, UNKNOWN) for name in ids)


def imagenet_labels(ids: Sequence[str]) -> Labels:
    """Return the class of ImageNet-1k that each image's folder stands for.

    The folder is called by one of the 1000 WordNet ids, at any depth (the innermost counts); else the first-level
    folder is called by the index of the class, a number from 0 to 999 as in ImageNet-V2 (see `count_from_0`). Anything
    else, file names too, says nothing: -1.
    """
    index = {wnid: i for i, wnid in enumerate(imagenet_wnids())}
    known: dict[str, int] = {}  # many images share a folder
    return as_labels(_imagenet_label(name.rpartition("/")[0], index, known) for name in ids)


def _imagenet_label(folder: str, index: Mapping[str, int], known: dict[str, int]) -> int:
    if folder not in known:
        parts = folder.split("/")
        number = int(parts[0]) if _NUMBER.fullmatch(parts[0]) and int(parts[0]) < len(index) else UNKNOWN
        known[folder] = next((index[part] for part in reversed(parts) if part in index), number)
    return known[folder]


def count_from_0(root: Path, ids: Sequence[str], folders: Iterable[str]) -> None:
    """Raise a `DataError` if folders give ImageNet's classes as numbers that do not count from 0.

    The development kit of ILSVRC 2012 numbers them from 1 to 1000, in another order than every classifier.

    Parameters
    ----------
    root : Path
    ids : sequence of str
        The images.
    folders : iterable of str
        All first-level folders of the dataset, those without images too.
    """
    index = imagenet_wnids()
    parents = {name.rpartition("/")[0] for name in ids}
    numbered = {p.split("/", 1)[0] for p in parents if not any(part in index for part in p.split("/"))}
    used = {int(name) for name in numbered if _NUMBER.fullmatch(name) and int(name) <= len(index)}
    there = {int(name) for name in folders if name.isascii() and name.isdecimal()} | used
    if used and (len(index) in there or 0 not in there):
        what = "there is a folder 1000" if len(index) in there else "there is no folder 0"
        raise DataError(
            f"the folders are called by numbers, but {what}: numbers from 1 to 1000 are those of the development kit "
            "of ILSVRC 2012, whose order no classifier has",
            file=root,
            fix="call the folders by their WordNet ids (moodbench download imagenet_val does it); or, if they do count "
            "from 0 in the order of the sorted WordNet ids, add an empty folder 0",
        )


def index_labels(root: Path, ids: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    """Return the number that each image's first-level folder is called, and the numbers as names.

    Raises
    ------
    DataError
        A folder is called otherwise, or two are called by the same number.
    """
    found = sorted({name.split("/", 1)[0] for name in ids if "/" in name})
    wrong = [name for name in found if not (name.isascii() and name.isdecimal() and int(name) < MOST_CLASSES)]
    if wrong:
        raise DataError(
            f"labels: index takes the class from the number that a folder is called, and there is '{wrong[0]}'",
            file=root,
            fix="choose another rule for 'labels'",
        )
    numbers = {name: int(name) for name in found}
    if len(set(numbers.values())) < len(numbers):
        raise DataError("two folders are called by the same number", file=root, fix="merge them, or rename one")
    labels = as_labels(numbers[name.split("/", 1)[0]] if "/" in name else UNKNOWN for name in ids)
    return labels, tuple(map(str, range(max(numbers.values(), default=-1) + 1)))


def read_class_file(file: Path) -> tuple[str, ...]:
    """Return the class folders that a file names in order, one a line.

    Raises
    ------
    DataError
        It cannot be read, is empty, or names a folder twice.
    """
    text = read_text(file, "the file of class folders", DataError, fix="correct 'labels'")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    names = tuple(line for line in lines if line.strip())
    twice = sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ())
    if not names or twice:
        what = f"names '{twice[0]}' twice" if twice else "is empty"
        raise DataError(f"the file of class folders {what}", file=file, fix="one class folder a line, in the order")
    return names
