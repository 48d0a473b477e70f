"""A cache that is filled at one go, and is there whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.create import Layout, create_cache, reason


@contextlib.contextmanager
def filling(
    target: Path, model: str, dataset: str, layout: Layout, provenance: dict[str, Any]
) -> Iterator[FeatureCache]:
    """Open a new cache under a name of its own, to be filled within the block; it is renamed to `target` at its end.

    Raises
    ------
    CacheError
        The disk is full, or the folder cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.import")
    create_cache(unfinished, model, dataset, layout, provenance)
    try:
        with FeatureCache(unfinished, write=True) as cache:
            yield cache
            cache.finish()
        unfinished.replace(target)
    except OSError as error:
        raise CacheError(
            f"the cache cannot be created: {reason(error)}", file=target, fix="make room or choose another --cache-dir"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
