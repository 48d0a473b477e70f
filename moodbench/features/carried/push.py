"""Brings caches to a place: what is whole here and not there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.carried.layout import OfDataset, OfModel
from moodbench.features.carried.store import Store
from moodbench.features.heads import same_head, stored_head
from moodbench.features.shards.plan import ShardPlan, plan_file, read_plan, refuse_other_plan
from moodbench.features.verify import check_cache
from moodbench.progress import Progress
from moodbench.shard_names import shards_folder


@dataclass(frozen=True)
class Brought:
    """What became of one cache.

    Attributes
    ----------
    names : tuple of str
        Of the files that were brought.
    missing : int
        Shards that are not complete here; of a cache in one file, 1 where it is not.
    """

    names: tuple[str, ...]
    missing: int


def bring(store: Store, cache: Path, there: OfModel, progress: Progress) -> Brought:
    """Bring a cache, and the heads of its model, first the heads: who fetches it meanwhile finds what it needs.

    Parameters
    ----------
    store : Store
    cache : Path
        Its place in the cache folder; where its shards are not joined yet, it is not there.
    there : OfModel
        What is there of the model.
    progress : Progress

    Raises
    ------
    CacheError
        A file here is damaged, or another of the name is there, or the place cannot be written.
    """
    dataset = there.datasets.get(cache.stem, OfDataset())
    plan = _plan(store, cache, dataset)
    if plan is None:
        wanted, missing = _single(store, cache, dataset)
    else:
        wanted, missing = _shards(cache, plan, dataset)
    heads = _heads(store, cache.parent, there) if wanted or dataset.file or dataset.shards else {}
    new = {name: file for name, file in {**heads, **wanted}.items() if file is not None}
    with progress.phase(f"push {cache.parent.name} on {cache.stem}", sum(map(_bytes, new.values())), "B") as done:
        for name, file in new.items():
            if file.suffix == ".h5" and file in wanted.values():
                check_cache(file)  # damage would be found there by nobody but `cache verify`
            store.put(file, name)
            done(_bytes(file))
    for name in (*heads, *wanted):
        store.tidy(name)
    return Brought(tuple(new), missing)


def _bytes(file: Path) -> int:
    return file.stat().st_size


def _plan(store: Store, cache: Path, there: OfDataset) -> ShardPlan | None:
    """Return the plan of a cache in shards, None of a cache in one file."""
    plan = read_plan(cache)
    if plan is not None and cache.exists():
        with FeatureCache(cache) as whole:
            plan = plan if whole.shards else None
    if plan is not None and there.file is not None:
        raise CacheError(
            "this cache lies there as one file, and here in shards",
            file=store.at(there.file),
            fix="moodbench cache pack  makes one file of it here too, or push to another place",
        )
    if plan is not None and there.plan is not None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / cache.name
            store.get(there.plan, plan_file(copy))
            with store.naming(there.plan):
                other = read_plan(copy)
        if other is not None:
            refuse_other_plan(other, plan, file=store.at(there.plan))
    return plan


def _shards(cache: Path, plan: ShardPlan, there: OfDataset) -> tuple[dict[str, Path | None], int]:
    """Return name → file of plan and complete shards, no file where one is there; and how many are not complete."""
    folder = f"{cache.parent.name}/{shards_folder(cache).name}"
    found: dict[str, Path | None] = {}
    for index in range(1, plan.shards + 1):
        file = plan.file_of(cache, index)
        if index in there.shards:
            found[f"{folder}/{file.name}"] = None
        elif file.exists():
            with FeatureCache(file) as shard:
                if shard.complete:
                    shard.refuse_lost_rows()
                    found[f"{folder}/{file.name}"] = file
    missing = plan.shards - len(found)
    if not found:
        return {}, missing
    return {f"{folder}/{plan_file(cache).name}": None if there.plan else plan_file(cache), **found}, missing


def _single(store: Store, cache: Path, there: OfDataset) -> tuple[dict[str, Path | None], int]:
    name = f"{cache.parent.name}/{cache.name}"
    with FeatureCache(cache) as whole:
        if not whole.complete:
            return {}, 1
        whole.refuse_lost_rows()
        contents = whole.fingerprint
    if there.plan is not None or there.shards:
        raise CacheError(
            "this cache lies there in shards, and here as one file",
            file=store.at(there.plan or next(iter(there.shards.values()))),
            fix="push to another place, or remove the shards there",
        )
    if there.file is None:
        return {name: cache}, 0
    if store.has(there.file, cache):
        return {name: None}, 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        store.get(there.file, copy)
        with store.naming(there.file), FeatureCache(copy) as other:
            same = other.fingerprint == contents
    if not same:
        raise CacheError(
            "another cache of this name lies there", file=store.at(there.file), fix="push to another place"
        )
    return {name: None}, 0


def _heads(store: Store, folder: Path, there: OfModel) -> Mapping[str, Path | None]:
    """Return name → file of the heads of a model, no file where the same one is there."""
    own = folder / "head.h5"
    known = {
        **{f"heads/{name}.h5": at for name, at in there.heads.items()},
        **({own.name: there.head} if there.head else {}),
    }
    found: dict[str, Path | None] = {}
    for file in [*([own] if own.exists() else []), *sorted((folder / "heads").glob("*.h5"))]:
        below = file.relative_to(folder).as_posix()
        found[f"{folder.name}/{below}"] = None if below in known else file
        if below in known:
            _refuse_other_head(store, known[below], file, folder.name, below)
    return found


def _refuse_other_head(store: Store, name: str, file: Path, model: str, below: str) -> None:
    if store.has(name, file):
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / model / below
        store.get(name, copy)
        with store.naming(name):
            other = stored_head(copy)
        same = same_head(other, stored_head(file))
    if not same:
        raise CacheError("another head of this name lies there", file=store.at(name), fix="push to another place")
