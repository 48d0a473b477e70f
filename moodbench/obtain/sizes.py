"""Sizes in words, and the room that is left on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from moodbench.errors import DataError

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def in_words(size: float) -> str:
    """Return a number of bytes as people write it: ``5.2 GB``, with powers of 1000."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.5 else f"{size:.1f} {_UNITS[unit]}"


def free_bytes(folder: Path) -> int:
    """Return the room on the disk that `folder` lies on, or will lie on."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(needed: int, folder: Path, what: str) -> None:
    """Raise `DataError` with the figures if the disk has less room than `needed` bytes."""
    free = free_bytes(folder)
    if free < needed:
        raise DataError(
            f"the disk is too full {what}: {in_words(needed)} may be needed, {in_words(free)} are free",
            file=folder,
            fix="make room, or name a folder on another disk with --data-dir",
        )
