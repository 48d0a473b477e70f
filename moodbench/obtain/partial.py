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
from pathlib import Path

from moodbench.datasets.image_files import scan_folder
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


def finish(data_dir: Path, target: Path, origin: Origin, *, progress: bool) -> Origin:
    """Write manifest and origin of the full partial folder of a dataset, and give it its name.

    Raises
    ------
    DataError
        It holds no image, or something is in the way.
    """
    partial = partial_folder(data_dir, origin.dataset)
    origin = write_notes(data_dir, partial, origin, progress=progress)
    put(partial, target)
    return origin


def write_notes(data_dir: Path, folder: Path, origin: Origin, *, progress: bool) -> Origin:
    """Write manifest and origin of the images in `folder`; return the origin, with their number and size."""
    records = hash_files(folder, tuple(scan_folder(folder)), progress=progress)
    if not records:
        raise DataError(f"there is no image in what should become '{origin.dataset}'", file=folder)
    origin = origin.counted(records)
    write_manifest(data_dir, origin.dataset, records)
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
