"""A joined cache of which a shard is gone goes back to shards that are not joined, so that the one is made again."""

from __future__ import annotations

from collections.abc import Sequence

from moodbench.features.cache import FeatureCache
from moodbench.features.lock import exclusive
from moodbench.features.provenance import refuse_mismatch
from moodbench.features.shards.plan import read_plan
from moodbench.features.targets import Target
from moodbench.shard_names import has_plan


def reopen_if_shards_are_gone(target: Target, classes: Sequence[str]) -> None:
    """Remove the manifest of a cache that lacks some of its shards, and has the plan that they were made by.

    Raises
    ------
    CacheMismatchError
        It is of something else; nothing is removed.
    CacheError
        Its manifest or plan is damaged, or it is locked by another process.
    """
    if _lacks(target, classes):
        with exclusive(target.file):
            if _lacks(target, classes):  # else another process has just joined them again
                target.file.unlink()


def _lacks(target: Target, classes: Sequence[str]) -> bool:
    if not target.file.exists() or not has_plan(target.file):
        return False
    with FeatureCache(target.file) as cache:
        if all(shard.file(target.file).exists() for shard in cache.shards):
            return False
        refuse_mismatch(cache, target.noted, classes, file=target.file)
    read_plan(target.file)  # the manifest stays where it is damaged
    return True
