"""MNIST (and what is packed like it) from its idx files, into one PNG per image.

Names are those of OpenOOD's list but for the suffix: the digit, and a running number from 0.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from moodbench.catalog import DatasetSpec
from moodbench.obtain.layouts.base import LAYOUTS
from moodbench.obtain.layouts.parts import Array, Source, known_sources, write_pngs
from moodbench.obtain.unpack.kinds import HEAD, describe, kind_of
from moodbench.obtain.unpack.stream import damage

SPLITS = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
"""Sub-folder → its images and labels."""

_BYTES = 0x08
"""The code of unsigned bytes, the only type that images and labels have."""


@LAYOUTS.register("mnist")
def mnist(spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
    """Write ``train/5_0.png`` … and ``test/7_0.png`` …. See `Layout`."""
    there = {entry.file for entry in spec.archives}
    splits = {split: pair for split, pair in SPLITS.items() if there & set(pair)} or SPLITS
    parts = known_sources(spec, files, [name for pair in splits.values() for name in pair], all_of=True)
    for split, (images_file, labels_file) in splits.items():
        part = parts[images_file]
        images, digits = read_idx(part, 3), read_idx(parts[labels_file], 1)
        if len(images) != len(digits):
            raise part.broken(f"the file has {len(images)} images, and '{labels_file}' {len(digits)} labels")
        numbered = enumerate(zip(images, digits.tolist(), strict=True))
        named = ((f"{split}/{digit}_{number}.png", image) for number, (image, digit) in numbered)
        write_pngs(part.folder(target), named, len(images), progress)


def read_idx(part: Source, dimensions: int) -> Array:
    """Read an array of bytes from an idx file, compressed with gzip or not.

    Raises
    ------
    DataError
        It is something else, cut off, or larger than `max_bytes` of its catalogue entry.
    """
    with damage(part.file), part.file.open("rb") as raw:
        head = raw.read(HEAD)
        raw.seek(0)
        limit = part.entry.max_bytes
        data = (gzip.GzipFile(fileobj=raw) if kind_of(head) == "gzip" else raw).read(limit + 1)
    if data[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise part.broken(f"the file is no idx file of {dimensions} dimensions: it is {describe(data[:HEAD] or head)}")
    if len(data) > limit:
        raise part.broken("the file holds more than max_bytes in its catalogue entry allows")
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise part.broken("the file is cut off")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    count = math.prod(shape)
    if len(data) != start + count:
        raise part.broken(f"the file should have {count} values, and has {len(data) - start}")
    return np.frombuffer(data, np.uint8, count, start).reshape(shape)
