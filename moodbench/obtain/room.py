"""The room that is left on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from moodbench.errors import DataError
from moodbench.sizes import human_bytes


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
            f"the disk is too full {what}: {human_bytes(needed)} may be needed, {human_bytes(free)} are free",
            file=folder,
            fix="make room, or name a folder on another disk with --data-dir",
        )
