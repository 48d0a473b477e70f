"""Puts the manifest in the place of a cache once all of its shards are complete."""

from __future__ import annotations

from pathlib import Path

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.cache import FeatureCache
from moodbench.features.hdf5 import stored_texts
from moodbench.features.lock import exclusive
from moodbench.features.provenance import refuse_mismatch
from moodbench.features.shards.manifest import Contents, Shard, write_manifest
from moodbench.features.shards.plan import ListDigest, ShardPlan, plan_file


def join(cache: Path, plan: ShardPlan) -> bool:
    """Write the manifest of a cache, and say whether it is there: not before all shards are complete.

    May be called by anybody at any time, and by several at once.

    Raises
    ------
    CacheError
        A shard is damaged, or the disk is full.
    CacheMismatchError
        A shard does not fit the plan: it is of something else.
    """
    files = [plan.file_of(cache, index) for index in range(1, plan.shards + 1)]
    if not cache.exists() and not all(file.exists() for file in files):
        return False
    with exclusive(cache, waiting=lambda: None):
        if cache.exists():
            return True
        if not plan_file(cache).exists():  # removed, and its shards with it
            return False
        digest = ListDigest()
        shards: list[Shard] = []
        longest: list[int] = []
        for index, file in enumerate(files, 1):
            if not file.exists():
                return False
            with FeatureCache(file) as shard:
                if not shard.complete:
                    return False
                shard.refuse_lost_rows()
                refuse_other_shard(shard, plan, index)
                ids = shard.part("ids")
                digest.add(stored_texts(ids), shard.labels)
                longest.append(ids.dtype.itemsize)
                rows = plan.rows_of(index)
                shards.append(Shard(index, plan.shards, rows.start, shard.rows, shard.digest))
        if digest.hex() != plan.images:
            raise CacheError(
                "the ids or labels of the shards are not those of the plan",
                file=plan_file(cache),
                fix=f"make it anew: moodbench cache remove --model {plan.model} --dataset {plan.dataset}",
            )
        contents = Contents(
            plan.model, plan.dataset, plan.noted, plan.head, plan.class_names, plan.dim, plan.classes, longest
        )
        write_manifest(cache, shards, contents)
    return True


def refuse_other_shard(shard: FeatureCache, plan: ShardPlan, index: int) -> None:
    """Raise a `CacheMismatchError` unless a shard is what the plan says."""
    refuse_mismatch(shard, {**plan.noted, "shard": plan.note(index)}, plan.class_names, file=shard.file)
    own = {
        "model": (shard.model, plan.model),
        "rows": (shard.rows, plan.note(index)["rows"]),
        "width": (shard.dim, plan.dim),
        "classes": (shard.classes, plan.classes),
        "names of classes": (list(shard.class_names or ()), plan.class_names),
        "head": (shard.head, plan.head),
        "batch size": (shard.provenance.get("batch_size"), plan.batch_size),
        "channels last": (shard.provenance.get("channels_last"), plan.channels_last),
    }
    for what, (there, planned) in own.items():
        if there != planned:
            shown = "others" if isinstance(there, list) else f"{there}, and the plan has {planned}"
            raise CacheMismatchError(
                f"shard {index} of {plan.shards} does not fit the plan: {what}: {shown}",
                file=shard.file,
                fix="remove this shard, then run the same moodbench extract again",
            )
