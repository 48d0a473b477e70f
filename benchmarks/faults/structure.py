"""Damaged HDF5 metadata: bytes that are no row, in caches with a seal and in those of before."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from benchmarks.faults.trial import Row
from benchmarks.small import Small, trial
from moodbench.features.create import PARTS, ROWS

TIMES = 180


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for caches of each schema."""
    small, chance = Small.make(folder), random.Random(seed)
    right = small.numbers()
    for kind in ("a sealed cache", "a cache of schema 1"):
        file = small.cache()
        if kind != "a sealed cache":
            _as_schema_1(file)
        free = _structure(file)
        row = Row(f"damaged metadata of {kind}")
        for _ in range(TIMES):
            trial(row, file, _harm(chance, free), small.numbers, right)
        yield row


def _harm(chance: random.Random, places: list[int]) -> Callable[[Path], object]:
    """Return a harm: a bit, a byte, or some bytes of the structure become others."""
    begin, kind = chance.choice(places), chance.randrange(4)
    value = chance.randrange(1, 256)
    length = 1 if kind < 2 else chance.choice((2, 4, 8, 16))
    noise = chance.randbytes(length) if kind == 2 else bytes([chance.choice((0, 255))]) * length

    def harm(file: Path) -> str:
        data = bytearray(file.read_bytes())
        if kind < 2:
            data[begin] ^= 1 << value % 8 if kind == 0 else value
        else:
            data[begin : begin + length] = noise[: len(data) - begin]
        with file.open("r+b") as stream:
            stream.write(data)
        return f"kind {kind}, {length} bytes from {begin}"

    return harm


def _structure(file: Path) -> list[int]:
    """Return the positions of all bytes that are no row, label or id."""
    size = file.stat().st_size
    mine = np.ones(size, np.bool_)
    with h5py.File(file, "r") as h5:
        for name in (*ROWS, *PARTS):
            offset = h5[name].id.get_offset()
            mine[offset : offset + h5[name].id.get_storage_size()] = False
    return [int(i) for i in np.flatnonzero(mine)]


def _as_schema_1(file: Path) -> None:
    """Write the cache anew as versions before the seal did."""
    with h5py.File(file, "r") as h5:
        arrays = {name: (h5[name][:], h5[name].dtype) for name in h5 if name != "classes"}
        attributes = {key: value for key, value in h5.attrs.items() if key != "head"}
    with h5py.File(file, "w", libver="earliest") as h5:
        for name, (array, kind) in arrays.items():
            h5.create_dataset(name, data=array, dtype=kind)
        for key, value in attributes.items():
            h5.attrs[key] = value
        h5.attrs["moodbench_schema"] = np.int64(1)
