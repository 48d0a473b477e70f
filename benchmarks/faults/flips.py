"""One bit flips in a cache or a head: before it is ever read, after it was found good, and while it is open."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.faults.trial import Row
from benchmarks.small import SCORES, Small, flip, trial
from moodbench.commands.cache import verify_caches
from moodbench.errors import CacheError
from moodbench.evaluation.caches import open_caches
from moodbench.evaluation.run import score_caches
from moodbench.scores.base import create_score

ARRAYS = ("features", "logits", "labels", "status", "crc32", "ids")
TIMES = 24
HEADS = 120


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each kind of file, array and moment."""
    small, chance = Small.make(folder), random.Random(seed)
    for name in (None, "probe"):
        row = Row(f"bit flips in {'head.h5' if name is None else 'heads/probe.h5'}")
        file, work = small.head(name), partial(small.numbers, name)
        right = work()
        for _ in range(HEADS):
            trial(row, file, flip(chance, 0, file.stat().st_size), work, right)
        yield row
    right = small.numbers()
    for array in ARRAYS:
        row = Row(f"bit flips in a cache's {array}")
        for _ in range(TIMES):
            file = small.cache(chance.choice(("syn_train", "syn_test", "syn_ood0")))
            trial(row, file, flip(chance, *small.extent(file, array)), small.numbers, right)
        yield row
    row = Row("bit flips anywhere in a cache, then cache verify")
    for _ in range(2 * TIMES):
        file = small.cache()
        trial(row, file, flip(chance, 0, file.stat().st_size), partial(_verified, small), "must be found")
    yield row
    row = Row("bit flips in a cache that is open")
    opened = _while_open(small, _nothing)
    for _ in range(2 * TIMES):
        file = small.cache(chance.choice(("syn_train", "syn_test", "syn_ood0")))
        harm = flip(chance, *small.extent(file, chance.choice(ARRAYS)))
        trial(row, file, _nothing, partial(_while_open, small, partial(_in_place, harm, file)), opened)
    yield row


def _verified(small: Small) -> None:
    for one in verify_caches(small.space):
        if one.fault is not None:
            raise one.fault


def _nothing(*_: object) -> str:
    return "while it is open"


def _in_place(harm: Callable[[Path], object], file: Path) -> None:
    stat = file.stat()
    harm(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _while_open(small: Small, harm: Callable[[], object]) -> object:
    """Open the caches, harm one, and score."""
    spec = small.space.catalog.benchmark("synthetic")
    files = {name: small.cache(name) for name in spec.datasets}
    caches = open_caches(files, spec, small.head(), own_head=True)
    harm()
    scored = score_caches(spec, caches, {name: create_score(name, None) for name in SCORES}, device=torch.device("cpu"))
    failed = [row.note for row in scored.rows if row.auroc is None]
    if failed:  # an empty cell says that something is wrong; it is no number
        raise CacheError(failed[0])
    return {(row.score, row.ood): row.auroc for row in scored.rows}
