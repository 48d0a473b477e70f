"""How images get their labels. The rules are those of `moodbench.catalog.LABEL_RULES`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""The label of an image whose class is not known."""

Labels = NDArray[np.int64]

_NUMBER = re.compile(r"[0-9]{1,3}")


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
    folder is called by the index of the class, a number from 0 to 999 as in ImageNet-V2. Anything else, file names
    too, says nothing: -1.
    """
    index = {wnid: i for i, wnid in enumerate(imagenet_wnids())}
    known: dict[str, int] = {}  # many images share a folder
    return as_labels(_imagenet_label(name.rpartition("/")[0], index, known) for name in ids)


def _imagenet_label(folder: str, index: Mapping[str, int], known: dict[str, int]) -> int:
    if folder not in known:
        parts = folder.split("/")
        number = int(parts[0]) if _NUMBER.fullmatch(parts[0]) else UNKNOWN
        known[folder] = next((index[part] for part in reversed(parts) if part in index), number)
    return known[folder]
