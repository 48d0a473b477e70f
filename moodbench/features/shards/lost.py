"""What shards say of a plan that is gone: how many rows each has, and how they were computed. So they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.provenance import refuse_mismatch
from moodbench.features.settings import Settings
from moodbench.features.shards.share import whole_batches
from moodbench.features.targets import Arithmetic, Target
from moodbench.shard_names import has_plan, shard_files, shards_folder


@dataclass(frozen=True)
class LostPlan:
    """What a plan said that is gone.

    Attributes
    ----------
    rows_per_shard : int
    how : Arithmetic
    """

    rows_per_shard: int
    how: Arithmetic


def lost_plan(target: Target, rows: int, classes: Sequence[str], settings: Settings) -> LostPlan | None:
    """Return what a shard of a cache says of its plan, where there is neither plan nor cache; else None.

    Shards that are damaged or of something else say nothing.

    Parameters
    ----------
    target : Target
    rows : int
        Of the cache.
    classes : sequence of str
    settings : Settings
    """
    if target.file.exists() or has_plan(target.file):
        return None
    for file in shard_files(shards_folder(target.file)):
        try:
            found = _said(file, target, rows, classes, settings)
        except (CacheError, KeyError, TypeError, ValueError):
            continue
        if found is not None:
            return found
    return None


def _said(file: Path, target: Target, rows: int, classes: Sequence[str], settings: Settings) -> LostPlan | None:
    with FeatureCache(file) as shard:
        place = shard.provenance["shard"]
        refuse_mismatch(shard, {**target.noted, "shard": place}, classes, file=file)
        index, of, start = int(place["index"]), int(place["of"]), int(place["start"])
        each = shard.rows if index < of else start // (of - 1) if of > 1 else 0
    how = Arithmetic.noted(file, settings)
    each = each or whole_batches(rows, how.batch_size)  # the only one has all of them
    fits = each % how.batch_size == 0 and -(-rows // each) == of and start == (index - 1) * each
    return LostPlan(each, how) if fits else None
