"""Which image files lie below a folder: names and sizes, never content."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISDIR

from moodbench.datasets.suffixes import is_image
from moodbench.datasets.walking import is_folder, is_utf8, visible, walk
from moodbench.errors import DataError

_SHOWN = 5  # how many names a message lists before it only counts


def scan_folder(root: Path, include: Sequence[str] = (), left_out: Counter[str] | None = None) -> dict[str, int]:
    """Return path → byte size of every visible image file, in the order of the paths.

    At any depth; paths are relative to `root` with ``/`` and compared as strings of code points, which is also the
    order of their UTF-8 bytes. Hidden files and folders are left out; folders that are symbolic links are followed
    unless they lead back to one of their own parents.

    Parameters
    ----------
    root : Path
    include : sequence of str
        Look into these first-level folders only. Empty: everywhere.
    left_out : Counter, optional
        Is told how many files are no images, by suffix.

    Raises
    ------
    DataError
        `root` is missing or not a folder, an included folder is missing, a folder cannot be read, a name is not
        UTF-8, or an image is a link to nowhere.
    """
    check_folder(root, include)
    broken: list[str] = []
    found = dict(sorted(_walk(root, include, broken, left_out)))
    if broken:
        raise DataError(
            counted(sorted(broken), "image is a link", "images are links", "to nowhere"),
            file=root,
            fix="restore what the links point to, or remove them",
        )
    return found


def check_folder(root: Path, include: Sequence[str] = ()) -> None:
    """Raise `DataError` if `root` is no folder, or lacks one of the folders `include`."""
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        fix = "check the path, or obtain the dataset first"
        raise DataError("the image folder does not exist", file=root, fix=fix) from None
    except OSError as error:
        raise DataError(f"the image folder cannot be read: {error.strerror}", file=root) from None
    if not S_ISDIR(mode):
        raise DataError(
            "a dataset is a folder of images, but this is a file", file=root, fix="name the folder that holds it"
        )
    missing = [name for name in include if not os.path.isdir(root / name)]  # noqa: PTH112 (of any name)
    if missing:
        raise DataError(
            counted(
                missing, "folder that the catalogue includes is", "folders that the catalogue includes are", "missing"
            ),
            file=root,
            fix="complete the dataset, or correct 'include' in the catalogue",
        )


def looks_filled(root: Path, include: Sequence[str] = ()) -> bool:
    """Say whether there is a folder or an image file in `root` (with `include`: one of those). Opens no image.

    Hidden entries and temporary names (``.part``) do not count: a folder that is being filled is not filled. One that
    may not be read counts, so that opening it says so.
    """
    try:
        with os.scandir(root) as entries:
            return any(_counts(entry, include) for entry in entries)
    except PermissionError:
        return True
    except OSError:
        return False


def first_level_folders(root: Path) -> tuple[str, ...]:
    """Return the names of all visible folders directly in `root`, sorted."""
    try:
        names = [entry.name for entry in visible(root) if is_folder(entry)]
    except OSError as error:
        raise _unreadable(root, ".", error) from None
    for name in names:
        _check_name(root, name)
    return tuple(sorted(names))


def class_folders(root: Path) -> tuple[str, ...]:
    """Return those of the `first_level_folders` that hold an image at any depth."""
    return tuple(name for name in first_level_folders(root) if next(_walk(root, (name,), []), None) is not None)


def file_size(path: Path) -> int | None:
    """Return the size of a file in bytes; None if there is no such file."""
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):
        return None


def counted(names: Sequence[str], one: str, many: str, rest: str) -> str:
    """Return a sentence with the number of `names` and the first few of them."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many} {rest}: {shown}{more}"


def _walk(
    root: Path, include: Sequence[str], broken: list[str], left_out: Counter[str] | None = None
) -> Iterator[tuple[str, int]]:
    """Yield (path, byte size) in the order of the file system; note dangling links in `broken`."""

    def refuse(path: str, error: OSError) -> None:
        raise _unreadable(root, path, error) from None

    for name, entry in walk(root, include, refuse):
        _check_name(root, name)
        if is_image(entry.path, left_out):
            if _is_file(entry):
                yield name, _size(entry)
            elif entry.is_symlink():
                broken.append(name)


def _unreadable(root: Path, path: str, error: OSError) -> DataError:
    return DataError(f"a folder cannot be read: {error.strerror}", file=root / path)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError as error:  # a folder whose names may be read, and whose files may not
        raise DataError(f"an image cannot be read: {error.strerror}", file=entry.path) from None


def _counts(entry: os.DirEntry[str], include: Sequence[str]) -> bool:
    if entry.name.startswith(".") or entry.name.endswith(".part"):
        return False
    return entry.name in include if include else is_folder(entry) or is_image(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _check_name(root: Path, name: str) -> None:
    """Refuse a name that is not UTF-8: ids are stored so, and after an hour of work it would be too late to say."""
    if not is_utf8(name):
        shown = name.encode("utf-8", "surrogateescape")
        raise DataError(f"the file name {shown!r} is not valid UTF-8", file=root, fix="rename the file")
