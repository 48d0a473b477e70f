"""Caches in shards, made of caches in one file without any network."""

from __future__ import annotations

from pathlib import Path

from moodbench.features.cache import FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.features.shards.join import join
from moodbench.features.shards.plan import ShardPlan, list_digest, write_plan


def in_shards(file: Path, each: int, *, joined: bool = True, leave: int | None = None) -> ShardPlan:
    """Put shards of `each` rows, and their manifest, in the place of a cache; without the shard `leave`."""
    with FeatureCache(file) as cache:
        ids, labels, rows = cache.ids, cache.labels, cache.rows
        features, logits, status = cache.rows_of(slice(0, rows))
        names = list(cache.class_names or ())
        noted = {**cache.provenance, "batch_size": 1, "channels_last": False}
        plan = ShardPlan(
            cache.model,
            cache.dataset,
            rows,
            each,
            list_digest(ids, labels),
            1,
            False,
            cache.dim,
            cache.classes,
            names,
            cache.head,
            noted,
        )
    file.unlink()
    write_plan(file, plan)
    for index in range(1, plan.shards + 1):
        part = plan.rows_of(index)
        if index == leave:
            continue
        layout = Layout(ids[part], labels[part], plan.dim, plan.classes, names, plan.head)
        shard = plan.file_of(file, index)
        create_cache(shard, plan.model, plan.dataset, layout, {**noted, "shard": plan.note(index)})
        with FeatureCache(shard, write=True) as cache:
            cache.write(0, features[part], None if logits is None else logits[part], status[part])
            cache.finish()
    if joined:
        assert join(file, plan) is (leave is None)
    return plan


def count(file: Path) -> int:
    """Return how many shards a cache has; 0: it is one file."""
    with FeatureCache(file) as cache:
        return len(cache.shards)
