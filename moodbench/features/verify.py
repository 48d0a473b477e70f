"""Reads every byte of a cache and compares it with the checksums."""

from __future__ import annotations

from pathlib import Path

from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.checksums import WRONG_SUM
from moodbench.sizes import many

NOTES = ".checked.json"
"""Where earlier versions noted which caches they had found good, beside them: of no use any more."""


def check_cache(file: Path) -> None:
    """Raise unless the file is as it was sealed, every row matches its checksum, and every row is finite.

    Raises
    ------
    CacheError
        Names the file and the damaged rows; in a complete cache, rows that are not there are damage too.
    """
    with FeatureCache(file) as cache:
        assert len(cache.labels) == len(cache.ids) == cache.rows  # both are compared when they are read
        if cache.complete:
            cache.refuse_lost_rows()
        damaged = cache.damaged_rows()
        if damaged:
            first = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
            where = cache.file_of(damaged[0])
            raise CacheError(
                f"{many(len(damaged), *WRONG_SUM)}: {first}",
                file=where,
                fix=cache.how_to_replace(where),
            )
