"""Fetches caches from a place: what is whole there and not here. Shards that are all here are joined."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from moodbench.atomic import sync_folder, temporary_file
from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.carried.layout import OfDataset, OfModel
from moodbench.features.carried.store import Store
from moodbench.features.heads import drop_left_over, same_head, store_head, stored_head
from moodbench.features.lock import begun_or_nothing, exclusive
from moodbench.features.shards.join import join, refuse_other_shard
from moodbench.features.shards.leave import refuse_if_filled
from moodbench.features.shards.plan import ShardPlan, plan_file, read_plan, refuse_other_plan, write_plan
from moodbench.progress import Progress


@dataclass(frozen=True)
class Fetched:
    """What became of one cache.

    Attributes
    ----------
    new, here : int
        Files that were fetched, and those that had been here before; heads are not counted.
    shards, of : int
        Complete shards that are here now, of how many; 0 of a cache in one file.
    heads : int
        Heads of the model that were fetched and are new here.
    """

    new: int
    here: int
    shards: int = 0
    of: int = 0
    heads: int = 0


def fetch(store: Store, cache: Path, there: OfModel, sizes: Mapping[str, int], progress: Progress) -> Fetched:
    """Fetch a cache and the heads of its model.

    Killed at any moment it leaves whole files; what is not, the next writer of the cache removes.

    Parameters
    ----------
    store : Store
    cache : Path
        Its place in the cache folder.
    there : OfModel
    sizes : mapping of str to int
        Bytes of the files of the store.
    progress : Progress

    Raises
    ------
    CacheError
        Something else lies here, somebody is writing the cache, what was fetched is damaged, or there is no room.
    """
    of = there.datasets[cache.stem]
    plan = None
    with begun_or_nothing(cache), exclusive(cache):
        refuse_if_filled(cache)
        with _no_head_without_cache(cache), _staging(cache) as staging:
            # whose folder is the model's, since files say whose they are
            copy = staging / cache.parent.name / cache.name
            todo = sum(sizes[name] for name in ([of.file] if of.file else of.shards.values()))
            with progress.phase(f"pull {cache.parent.name} on {cache.stem}", todo, "B") as done:
                heads = _fetch_heads(store, there, copy.parent, cache)
                if of.file is not None:
                    fetched = _fetch_file(store, of.file, copy, cache)
                    done(todo)
                else:
                    plan = _fetch_plan(store, of, copy, cache)
                    fetched = _fetch_shards(store, of, plan, copy, cache, sizes, done)
    if plan is not None:
        join(cache, plan)
    return replace(fetched, heads=heads)


@contextlib.contextmanager
def _staging(cache: Path) -> Iterator[Path]:
    """Yield a folder that the next writer of the cache sweeps away, should this process end in the middle."""
    folder = temporary_file(cache)
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise CacheError(
            f"the caches cannot be written: {error.strerror or error}",
            file=cache.parent,
            fix="make room or choose another --cache-dir, then run the same command again",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _no_head_without_cache(cache: Path) -> Iterator[None]:
    """Remove the model's own head again where its first cache could not be fetched."""
    try:
        yield
    except BaseException:
        drop_left_over(cache.with_name("head.h5"), of=cache)
        raise


def _moved(copy: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    copy.replace(place)
    sync_folder(place.parent)


def _fetch_heads(store: Store, there: OfModel, staging: Path, cache: Path) -> int:
    """Fetch the heads, and return how many are new here."""
    folder, new = cache.parent, 0
    if there.head is not None:
        store.get(there.head, staging / "head.h5")
        with store.naming(there.head):
            head = stored_head(staging / "head.h5")
        new += not (folder / "head.h5").exists()
        store_head(folder / "head.h5", head, of=cache)
    for name, at in there.heads.items():
        copy, place = staging / "heads" / f"{name}.h5", folder / "heads" / f"{name}.h5"
        if place.exists() and store.has(at, place):
            continue
        store.get(at, copy)
        with store.naming(at):
            head = stored_head(copy)
        with exclusive(place, waiting=lambda: None, tidy=True):
            if not place.exists():
                _moved(copy, place)
                new += 1
            elif not same_head(head, stored_head(place)):
                raise CacheError(
                    "another head of this name lies here",
                    file=place,
                    fix="remove it if nobody needs it, or pull into another --cache-dir",
                )
    return new


def _fetch_file(store: Store, name: str, copy: Path, cache: Path) -> Fetched:
    if plan_file(cache).exists() and not cache.exists():
        raise CacheError(
            "this cache was begun in shards here, and lies there as one file",
            file=plan_file(cache),
            fix="pull into another --cache-dir, or moodbench cache remove  the shards here",
        )
    if cache.exists():
        if store.has(name, cache):
            return Fetched(0, 1)
        with FeatureCache(cache) as here:
            complete, contents = here.complete, here.fingerprint
        if complete:
            store.get(name, copy)
            with store.naming(name), FeatureCache(copy) as other:
                if other.fingerprint == contents:
                    return Fetched(0, 1)
        raise CacheError(
            f"{'another' if complete else 'an incomplete'} cache of this name lies here",
            file=cache,
            fix="remove it if nobody needs it (moodbench cache remove), or pull into another --cache-dir",
        )
    store.get(name, copy)
    with store.naming(name), FeatureCache(copy) as whole:
        if not whole.complete:
            raise CacheError("the cache there is incomplete")
        head = whole.head
    _refuse_without_head(store, head, cache)
    _moved(copy, cache)
    return Fetched(1, 0)


def _fetch_plan(store: Store, of: OfDataset, copy: Path, cache: Path) -> ShardPlan:
    if of.plan is None:
        raise CacheError(
            "shards lie there without a plan", file=store.at(next(iter(of.shards.values()))), fix="push them again"
        )
    if cache.exists():
        with FeatureCache(cache) as here:
            if not here.shards:
                raise CacheError(
                    "this cache lies here as one file, and there in shards",
                    file=cache,
                    fix="remove it if nobody needs it (moodbench cache remove), or pull into another --cache-dir",
                )
    store.get(of.plan, plan_file(copy))
    with store.naming(of.plan):
        plan = read_plan(copy)
        if plan is None:
            raise CacheError("the plan was removed")
    here_too = read_plan(cache)
    _refuse_without_head(store, plan.head, cache)
    if here_too is not None:
        refuse_other_plan(here_too, plan, file=plan_file(cache))
        return here_too
    write_plan(cache, plan)
    return plan


def _fetch_shards(
    store: Store,
    of: OfDataset,
    plan: ShardPlan,
    copy: Path,
    cache: Path,
    sizes: Mapping[str, int],
    done: Callable[[float], object],
) -> Fetched:
    new = here = 0
    faults = []
    for index in range(1, plan.shards + 1):
        place, name = plan.file_of(cache, index), of.shards.get(index)
        with exclusive(place, tidy=True):
            if _complete(place):
                here += 1
            elif name is not None:
                try:
                    fetched = plan.file_of(copy, index)
                    store.get(name, fetched)
                    _refuse_unfit(store, name, fetched, plan, index)
                    _moved(fetched, place)
                    new += 1
                except CacheError as error:  # the others are not to blame
                    faults.append(error)
        if name is not None:
            done(sizes[name])
    if faults:
        raise faults[0]
    return Fetched(new, here, new + here, plan.shards)


def _refuse_unfit(store: Store, name: str, file: Path, plan: ShardPlan, index: int) -> None:
    """Refuse what is no complete shard of a plan, before it gets a name here."""
    with store.naming(name), FeatureCache(file) as shard:
        if not shard.complete:
            raise CacheError("the shard there is incomplete")
        refuse_other_shard(shard, plan, index)


def _refuse_without_head(store: Store, head: str | None, cache: Path) -> None:
    """Refuse a cache whose logits are of a head that is neither here nor there."""
    if head is not None and not cache.with_name("head.h5").exists():
        raise CacheError(
            "the head of the model is not there, and the cache was made with one",
            file=store.at(f"{cache.parent.name}/head.h5"),
            fix="push again from where the cache was made",
        )


def _complete(file: Path) -> bool:
    if not file.exists():
        return False
    with FeatureCache(file) as shard:
        return shard.complete
