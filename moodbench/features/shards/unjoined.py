"""Caches whose shards are not joined yet, for those who list, verify and remove caches."""

from __future__ import annotations

from pathlib import Path

from moodbench.errors import CacheError
from moodbench.features.shards.plan import ShardPlan, plan_file, read_plan
from moodbench.features.shards.state import begun
from moodbench.features.verify import check_cache
from moodbench.shard_names import has_plan
from moodbench.sizes import many


def is_unfinished(file: Path) -> bool:
    """Say whether shards of a cache are there, and the cache is not."""
    return not file.exists() and not file.is_symlink() and has_plan(file)


def plan_of(file: Path) -> ShardPlan:
    """Return the plan of a cache that `is_unfinished`."""
    plan = read_plan(file)
    if plan is None:
        raise CacheError("the plan of the shards was removed", file=plan_file(file), fix="run the same command again")
    return plan


def check_unfinished(file: Path) -> None:
    """Read every byte of the shards that are there of a cache; not all of them are, which is a fault.

    Raises
    ------
    CacheError
    """
    plan = plan_of(file)
    there = [one for index in range(1, plan.shards + 1) if (one := plan.file_of(file, index)).exists()]
    for one in there:
        check_cache(one)
    done = begun(file, plan).complete
    if done == plan.shards:
        raise CacheError(
            f"the cache is not joined yet, though all of its shards are complete ({done})",
            file=plan_file(file).parent,
            fix="run the same moodbench extract again, which joins them",
        )
    others = f", {len(there) - done} begun" if len(there) > done else ""
    raise CacheError(
        f"the cache is incomplete: {done} of {many(plan.shards, 'shard')} complete{others}",
        file=plan_file(file).parent,
        fix="run the same moodbench extract again",
    )
