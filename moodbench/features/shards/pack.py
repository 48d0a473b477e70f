"""Makes one ordinary file of a cache in shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moodbench.atomic import sync_folder
from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.checksums import WRONG_SUM, row_checksums
from moodbench.features.create import Layout, reason
from moodbench.features.filling import filling
from moodbench.features.lock import exclusive
from moodbench.features.shards.leave import drop_left_over_shards, remove_shards
from moodbench.progress import SILENT, Progress
from moodbench.shard_names import shards_folder
from moodbench.sizes import many

_ROWS = 4096


def pack(cache: Path, progress: Progress = SILENT) -> bool:
    """Put one file in the place of a manifest, then remove the shards; say whether there was something to do.

    Killed at any moment, it leaves a cache that is whole: the manifest with its shards, or the file, whose left-over
    shards the next `pack` or extraction removes. While both are there they take twice the room.

    Raises
    ------
    CacheError
        A shard is missing, damaged, or was replaced; the disk is full; another process writes the cache; or shards are
        not joined yet.
    """
    with exclusive(cache):
        with FeatureCache(cache) as whole:
            in_shards = bool(whole.shards)
            if in_shards:
                _copy(whole, progress)
        if in_shards:
            try:
                sync_folder(cache.parent)  # the file has its name before anything that it replaces goes
                remove_shards(cache)
            except OSError as error:
                raise CacheError(
                    f"the cache is packed, but its shards cannot be removed: {reason(error)}",
                    file=shards_folder(cache),
                    fix="run the same command again: it removes them",
                ) from None
    if not in_shards:
        drop_left_over_shards(cache)
    return in_shards


def _copy(whole: FeatureCache, progress: Progress) -> None:
    """Write all rows, compared with their checksums as they are read, to a file that takes the manifest's place."""
    layout = Layout(whole.ids, whole.labels, whole.dim, whole.classes, whole.class_names or (), whole.head)
    stored = whole.checksums
    with (
        filling(whole.file, whole.model, whole.dataset, layout, whole.provenance) as packed,
        progress.phase(f"pack {whole.model} on {whole.dataset}", whole.rows) as done,
    ):
        for start in range(0, whole.rows, _ROWS):
            rows = slice(start, min(start + _ROWS, whole.rows))
            features, logits, status = whole.rows_of(rows)
            wrong = np.flatnonzero(row_checksums(features, logits, whole.labels[rows], status) != stored[rows])
            if wrong.size:
                where = whole.file_of(start + int(wrong[0]))
                raise CacheError(
                    f"{many(wrong.size, *WRONG_SUM)}: the first is {start + int(wrong[0])}",
                    file=where,
                    fix=whole.how_to_replace(where),
                )
            packed.write(start, features, logits, status)
            done(rows.stop - rows.start)
