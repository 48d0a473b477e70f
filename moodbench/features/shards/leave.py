"""Folders of shards that go: with a cache that is removed, or because one file has taken their place."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from moodbench.atomic import sweep, temporary_file
from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.lock import BusyError, exclusive, is_written
from moodbench.features.provenance import made_otherwise
from moodbench.features.shards.plan import read_plan
from moodbench.shard_names import PLAN, has_plan, shards_folder


def remove_shards(cache: Path) -> bool:
    """Remove the folder of a cache's shards, whose lock the caller holds; say whether there was one.

    Raises
    ------
    BusyError
        Somebody is filling one of them.
    OSError
    """
    folder = shards_folder(cache)
    if folder.is_symlink():  # what a link leads to is not ours
        folder.unlink()
        return True
    if not folder.is_dir():
        return False
    refuse_if_filled(cache)
    # under a name that the next writer of the cache sweeps away, should this process end in the middle
    hidden = temporary_file(cache)
    folder.rename(hidden)
    shutil.rmtree(hidden)
    return True


def refuse_if_filled(cache: Path) -> None:
    """Raise a `BusyError` if somebody is filling a shard of a cache."""
    folder = shards_folder(cache)
    if folder.is_dir() and is_written(folder):
        raise BusyError(
            "another process is writing a shard of this cache", file=folder, fix="wait for it to end, or stop it"
        )


def drop_begun_plan(cache: Path) -> None:
    """Remove what a process left that was killed before it had written a plan; the caller holds the cache's lock."""
    if not has_plan(cache):
        sweep(shards_folder(cache) / PLAN)
        with contextlib.suppress(OSError):  # there is none, or there are shards in it
            shards_folder(cache).rmdir()


def drop_left_over_shards(cache: Path) -> None:
    """Remove the shards of a complete cache that is one file made from the same: a `pack` was killed before it did.

    Anything else in the place stays, and so does what cannot be removed.
    """
    with contextlib.suppress(CacheError, OSError):
        if has_plan(cache) and _packed(cache):
            with exclusive(cache, tidy=True):
                if _packed(cache):  # as before: nobody else can have changed it from here on
                    remove_shards(cache)


def _packed(cache: Path) -> bool:
    """Say whether a cache is one complete file of what its shards were planned for."""
    plan = read_plan(cache)
    with FeatureCache(cache) as whole:
        if plan is None or whole.shards or not whole.complete or whole.rows != plan.rows:
            return False
        same = all(whole.provenance.get(key) == plan.provenance.get(key) for key in ("source", "images", "limit"))
        return same and not made_otherwise(whole.provenance, plan.provenance)
