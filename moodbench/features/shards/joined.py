"""The rows of a manifest, read in its shards as if they were one file."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from moodbench.errors import CacheError
from moodbench.features.hdf5 import UnreadableError, in_words
from moodbench.features.pieces import Piece, Reading
from moodbench.features.shards.manifest import Shard
from moodbench.features.stored import StoredCache
from moodbench.shard_names import has_plan, shard_files, shards_folder


class JoinedCache:
    """What `StoredCache` is for one file, of a manifest: for reading alone.

    Shards are looked at when the first of their rows are asked for: each must be the one that was joined.
    """

    def __init__(self, manifest: StoredCache) -> None:
        self._manifest = manifest
        self._reading: Reading | None = None

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All shards, once each is known to be the one that the manifest lists.

        Raises
        ------
        CacheError
            One is missing, damaged, or another; it is named.
        """
        return tuple(self._looked_at(shard) for shard in self._manifest.shards)

    def _looked_at(self, shard: Shard) -> Piece:
        whole = self._manifest
        file = shard.file(whole.file)
        if not file.exists():
            raise CacheError(f"{shard.named} is missing", file=file, fix=how_to_replace(whole.file, file))
        stored = StoredCache(file)
        try:
            own = (stored.rows, stored.dim, stored.classes, stored.class_names, stored.head)
            if own != (shard.rows, whole.dim, whole.classes, whole.class_names, whole.head):
                what = "has other rows, widths, classes or another head than"
            elif (stored.model, stored.dataset) != (whole.model, whole.dataset):
                what = "is of another model or dataset than"
            elif not stored.complete or stored.digest != shard.sha256:
                what = "is damaged, or was replaced: it is not"
            else:
                return replace(stored.piece, start=shard.start)
            raise CacheError(
                f"{shard.named} {what} the one that was joined", file=file, fix=how_to_replace(whole.file, file)
            )
        finally:
            stored.close()

    def read(self, name: str, start: int, stop: int) -> Any:
        """Return rows of an array."""
        if self._reading is None:
            self._reading = Reading(self.pieces)
        return self._reading.rows(name, start, stop - start)

    def part(self, name: str) -> Any:
        """Return an array that never changes, once it was compared with the seals."""
        found = []
        for piece in self.pieces:
            try:
                with in_words():
                    found.append(piece.part(name))
            except UnreadableError as error:
                fix = how_to_replace(self._manifest.file, piece.file)
                raise CacheError(f"the cache cannot be read ({error})", file=piece.file, fix=fix) from None
        return np.concatenate(found)

    def close(self) -> None:
        """Close the files."""
        if self._reading is not None:
            self._reading.close()
        self._manifest.close()


def how_to_replace(manifest: Path, shard: Path) -> str:
    """Say what to do about a shard that is damaged or gone."""
    gone = [] if has_plan(manifest) else [f"the manifest '{manifest.name}'"]
    gone += ["this shard"] if shard.exists() else []
    first = f"remove {' and '.join(gone)}, then run" if gone else "run"
    if any(file != shard for file in shard_files(shards_folder(manifest))):
        then = f"it makes that shard alone again, as '{shard.parent.name}' keeps the others"
    else:
        then = "no other shard is left, so that it makes all of the cache again"
    return f"{first} the same moodbench extract as before:\n{then}"
