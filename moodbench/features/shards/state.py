"""How far the shards of a cache are, for those who list and size caches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moodbench.features.cache import PENDING, SKIPPED, FeatureCache
from moodbench.features.shards.plan import ShardPlan
from moodbench.shard_names import shards_folder


@dataclass(frozen=True)
class Begun:
    """What is there of a cache whose shards are not joined yet.

    Attributes
    ----------
    done, skipped : int
        Rows that are there, and of these the ones that are left out.
    complete : int
        Shards.
    """

    done: int
    skipped: int
    complete: int


def begun(cache: Path, plan: ShardPlan) -> Begun:
    """Count what is there of a cache.

    Raises
    ------
    CacheError
        A shard cannot be read.
    """
    done = skipped = complete = 0
    for index in range(1, plan.shards + 1):
        file = plan.file_of(cache, index)
        if file.exists():
            with FeatureCache(file) as shard:
                status = shard.status
                complete += shard.complete
            done += int(np.count_nonzero(status != PENDING))
            skipped += int(np.count_nonzero(status == SKIPPED))
    return Begun(done, skipped, complete)


def bytes_on_disk(cache: Path) -> int:
    """Return the bytes of a cache: of its file, and of all that lies among its shards."""
    sizes = [file.lstat().st_size for file in (cache,) if file.exists()]
    folder = shards_folder(cache)
    if folder.is_dir() and not folder.is_symlink():
        sizes += [file.lstat().st_size for file in folder.iterdir() if file.is_file()]
    return sum(sizes)
