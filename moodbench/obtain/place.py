"""Where a dataset lies while it is filled, and how it becomes one: checked, noted, and renamed in one step.

::

    data/.moodbench/partial/<dataset>/   while it is filled
    data/.moodbench/<dataset>.csv        manifest, written when it is full
    data/.moodbench/<dataset>.json       origin, written last
    data/<folder>/                       the partial folder, renamed

A partial folder with a noted origin is complete and lacks only its name; that is all that a process killed at the
worst moment leaves to do. Notes from before are removed when a folder begins to be filled.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moodbench.datasets.listing import scan_folder
from moodbench.errors import DataError
from moodbench.inspection.contents import holds_something
from moodbench.inspection.manifest import (
    NOTES,
    Origin,
    manifest_file,
    origin_file,
    read_origin,
    write_manifest,
    write_origin,
)
from moodbench.obtain.hashing import hash_files


@dataclass(frozen=True)
class Filled:
    """How a folder was filled: what its origin will say. See `Origin`."""

    how: str
    source: str
    archives: tuple[Mapping[str, Any], ...] = ()
    note: str | None = None


def partial_folder(data_dir: Path, name: str) -> Path:
    """Where the dataset `name` lies while it is filled."""
    return data_dir / NOTES / "partial" / name


def begin(data_dir: Path, name: str, *, keep: bool = False) -> Path:
    """Return the folder to fill, empty unless what is in it may be kept; what was noted about `name` is removed."""
    forget(data_dir, name)
    partial = partial_folder(data_dir, name)
    if not keep or partial.is_symlink():
        clear(partial)
    partial.mkdir(parents=True, exist_ok=True)
    return partial


def forget(data_dir: Path, name: str) -> None:
    """Remove the notes about `name`: the images that they spoke of are not there any more."""
    origin_file(data_dir, name).unlink(missing_ok=True)  # first: with it, a partial folder would look complete
    manifest_file(data_dir, name).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove a folder of ours, or a link in its place but never what that leads to."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def recover(data_dir: Path, name: str, target: Path) -> bool:
    """Give a complete partial folder its name, if a process was stopped just before it could; say whether it was."""
    partial = partial_folder(data_dir, name)
    if not os.path.lexists(partial) or holds_something(target) or read_origin(data_dir, name) is None:
        return False
    put(partial, target)
    return True


def finish(data_dir: Path, name: str, target: Path, filled: Filled, *, progress: bool) -> Origin:
    """Write manifest and origin of the full partial folder of `name`, and give it its name.

    Raises
    ------
    DataError
        It holds no image, or something is in the way.
    """
    partial = partial_folder(data_dir, name)
    origin = note(data_dir, name, partial, filled, progress=progress)
    put(partial, target)
    return origin


def note(data_dir: Path, name: str, folder: Path, filled: Filled, *, progress: bool) -> Origin:
    """Write manifest and origin of the images in `folder`."""
    records = hash_files(folder, tuple(scan_folder(folder)), progress=progress)
    if not records:
        raise DataError(f"there is no image in what should become '{name}'", file=folder)
    size = sum(record.bytes for record in records.values())
    time = datetime.now(UTC).isoformat(timespec="seconds")
    origin = Origin(name, filled.how, filled.source, len(records), size, time, filled.archives, filled.note)
    write_manifest(data_dir, name, records)
    write_origin(data_dir, origin)
    return origin


def put(partial: Path, target: Path) -> None:
    """Rename a folder (or link) to its final name, creating the parents, never over something."""
    if holds_something(target):
        raise DataError("the folder is there already and not empty", file=target, fix="move it away")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
    try:
        partial.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # the parent of the target is a link to, or the root of, another file system
        beside = target.with_name(f".{target.name}.partial")
        clear(beside)
        shutil.copytree(partial, beside, symlinks=True)
        beside.rename(target)
        clear(partial)
