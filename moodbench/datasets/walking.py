"""The way through a folder and those below it: what is looked into, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_JUNK = frozenset({"__MACOSX", "@eaDir"})
"""Folders that archivers and file servers leave beside the images: resource forks, thumbnails."""


def walk(
    root: Path, include: Sequence[str], unreadable: Callable[[str, OSError], None]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the path and entry of everything visible below `root` that is no folder, in the order of the file system.

    Paths are relative to `root` with ``/``. Folders that are symbolic links are followed, unless they lead back to one
    of their own parents.

    Parameters
    ----------
    root : Path
    include : sequence of str
        Look into these first-level folders only. Empty: everywhere.
    unreadable : callable
        Is told the path of a folder that cannot be read (``.`` for `root`), and why. What it raises ends the walk.
    """
    above = frozenset({_identity(root)}) if include else frozenset()
    pending = [(f"{name}/", above) for name in include] or [("", above)]
    while pending:
        prefix, parents = pending.pop()
        try:
            identity = _identity(root / prefix)
            if identity in parents:  # a link to one's own parent would never end
                continue
            entries = visible(root / prefix)
        except OSError as error:
            unreadable(prefix.rstrip("/") or ".", error)
            continue
        for entry in entries:
            if is_folder(entry):
                pending.append((f"{prefix}{entry.name}/", parents | {identity}))
            else:
                yield prefix + entry.name, entry


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder: neither hidden nor junk. One that cannot be read is an `OSError`."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_junk(entry.name)]


def is_junk(name: str) -> bool:
    """Say whether a file or folder of this name is hidden, or left by an archiver."""
    return name.startswith(".") or name in _JUNK


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether a name stands for a folder; a link to itself does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_utf8(name: str) -> bool:
    """Say whether a name is UTF-8, as ids are stored."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
