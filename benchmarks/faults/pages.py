"""Pages of a complete cache that were never written, as a power cut or a dying disk leaves them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.flips import ARRAYS, _verified
from benchmarks.faults.trial import Row
from benchmarks.small import Small, trial, zero
from benchmarks.world import Size

PAGE = 4096
TIMES = 12
SIZE = Size(train=5000, test=600, ood=(500,), dim=8, classes=4)
"""Rows enough for more than one page of every array."""


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each array, for the file's end and beginning, and for all of its pages."""
    small, chance = Small.make(folder, SIZE), random.Random(seed)
    file, right = small.cache(), small.numbers()
    size = file.stat().st_size
    for array in ARRAYS:
        offset, length = small.extent(file, array)
        row = Row(f"4 kB of zeros in a cache's {array}")
        for _ in range(TIMES):
            begin = offset + chance.randrange(max(1, length - PAGE))
            trial(row, file, zero(begin, min(PAGE, length)), small.numbers, right)
        yield row
    row = Row("the last tenth of a cache's pages lost")
    for i in range(22):
        pages = range(size // PAGE * (90 - i) // 100, size // PAGE + 1)
        trial(row, file, zero(pages[0] * PAGE, len(pages) * PAGE), small.numbers, right)
    yield row
    row = Row("one page of a cache lost, then cache verify")
    data = file.read_bytes()
    for page in range(size // PAGE + 1):
        if not any(data[page * PAGE : (page + 1) * PAGE]):
            continue  # it is all zeros: nothing is lost with it
        trial(row, file, zero(page * PAGE, PAGE), partial(_verified, small), "must be found")
    yield row
    row = Row("a cache that was cut")
    for _ in range(TIMES):
        trial(row, file, partial(_cut, length=chance.randrange(size)), small.numbers, right)
    yield row


def _cut(file: Path, length: int) -> str:
    with file.open("r+b") as stream:
        stream.truncate(length)
    return f"{length} bytes are left"
