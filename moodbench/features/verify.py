"""Checks the checksums of a cache, once per state of the file."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from moodbench.atomic import replace_file
from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache

NOTES = ".checked.json"


def check_cache(file: Path, *, again: bool = False) -> None:
    """Raise unless every row of the cache that is there matches its checksum and is finite.

    The state that was found good (size, modification time in ns, inode) is noted in ``.checked.json`` beside the cache,
    so a file that did not change is not read again; `again` reads it all the same.

    Raises
    ------
    CacheError
        Names the file and the damaged rows.
    """
    state = _state(file)
    notes = _read(file.with_name(NOTES))
    if not again and notes.get(file.stem) == state:
        return
    with FeatureCache(file) as cache:
        damaged = cache.damaged_rows()
    if damaged:
        first = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
        raise CacheError(
            f"{len(damaged)} rows do not match their checksums: {first}",
            file=file,
            fix="the file was damaged after it was written; remove it with moodbench cache remove, then make it again",
        )
    _note(file, state)


def forget(file: Path) -> None:
    """Drop what is noted about a cache that is removed."""
    _note(file, None)


def _state(file: Path) -> list[int]:
    try:
        stat = file.stat()
    except OSError:
        raise CacheError("there is no such cache", file=file, fix="run moodbench extract or import first") from None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _read(notes: Path) -> dict[str, list[int]]:
    try:
        values = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _note(file: Path, state: list[int] | None) -> None:
    path = file.with_name(NOTES)
    values = _read(path)
    values.pop(file.stem, None)
    if state is not None:
        values[file.stem] = state
    # a cache folder that is read-only can be scored all the same: it is only checked every time
    with contextlib.suppress(OSError):
        replace_file(path, json.dumps(values, sort_keys=True).encode())
