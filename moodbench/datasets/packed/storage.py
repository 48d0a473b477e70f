"""Ranges of bytes of files, on this disk or (through fsspec) wherever an address says.

A file is named by a text: a path, or ``scheme://…``. Handles are kept open for each process by itself, so that
processes that are forked read by themselves.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from moodbench.errors import DataError
from moodbench.names import is_address

MOST_FILES = 100_000
"""A pattern that stands for more is a slip of the pen."""

_OPEN = 64
"""Files that a process keeps open: a pattern may stand for more shards than a process may open."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_COUNTED = re.compile(r"(\d+)\.\.(\d+)")


def expand(pattern: str) -> tuple[str, ...]:
    """Return the files that a pattern stands for, in order.

    ``{0000..1281}`` counts, with as many digits as are written; ``{a,b}`` says each; ``*``, ``?`` and ``[…]`` are
    looked up and sorted. A file that is called so as it stands is that file.

    Raises
    ------
    DataError
        It stands for nothing, or for more than `MOST_FILES`.
    """
    if not is_address(pattern) and os.path.lexists(pattern):
        return (pattern,)
    names = _in_braces(pattern)
    found = [file for name in names for file in (_matching(name) if glob.has_magic(name) else [name])]
    if not found:
        raise DataError("no file fits the pattern", file=pattern, fix="check it as  ls PATTERN  would show it")
    return tuple(dict.fromkeys(found))


def _in_braces(pattern: str) -> list[str]:
    choices: list[list[str]] = []
    count = 1
    for i, text in enumerate(_BRACES.split(pattern)):
        options = [text] if i % 2 == 0 else _options(text)
        count *= len(options)
        if count > MOST_FILES:
            raise DataError(f"the pattern stands for more than {MOST_FILES:,} files", file=pattern, fix="correct it")
        choices.append(options)
    return ["".join(parts) for parts in itertools.product(*choices)]


def _options(text: str) -> list[str]:
    counted = _COUNTED.fullmatch(text)
    if counted is None:
        return text.split(",") if "," in text else [f"{{{text}}}"]
    first, last = int(counted[1]), int(counted[2])
    if last - first >= MOST_FILES:
        raise DataError(f"the pattern '{{{text}}}' stands for more than {MOST_FILES:,} files", fix="correct it")
    return [str(number).zfill(len(counted[1])) for number in range(first, last + 1)]


def _matching(pattern: str) -> list[str]:
    if not is_address(pattern):
        return sorted(glob.glob(pattern))  # noqa: PTH207 (a pattern that may be absolute)
    files, path = file_system(pattern)
    try:
        return sorted(files.unstrip_protocol(name) for name in files.glob(path))
    except Exception as error:  # whatever the client of the store raises
        raise unreadable(pattern, error) from error


def size_of(file: str) -> int:
    """Return the size of a file in bytes."""
    return _described(file)[0]


def stamp(file: str) -> str:
    """Return what changes when the content of a file does: size, and time of change or what the store says of it."""
    size, changed = _described(file)
    return f"{size} {changed}"


def _described(file: str) -> tuple[int, str]:
    if not is_address(file):
        try:
            status = Path(file).stat()
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from None
        if not os.path.isfile(file):  # noqa: PTH113 (of any name)
            raise DataError("this is no regular file", file=file, fix="name a file")
        return status.st_size, str(status.st_mtime_ns)
    files, path = file_system(file)
    try:
        found = files.info(path)
    except Exception as error:  # whatever the client of the store raises
        raise unreadable(file, error) from error
    if found.get("type") != "file" or found.get("size") is None:
        raise DataError("this is no file, or one of unknown size", file=file, fix="name a file")
    changed = next((found[key] for key in ("ETag", "etag", "mtime", "LastModified", "created") if key in found), "")
    return int(found["size"]), str(changed)


def read_range(file: str, offset: int, size: int) -> bytes:
    """Return `size` bytes from `offset`; fewer where the file ends before."""
    try:
        if is_address(file):
            files, path = file_system(file)
            return bytes(files.cat_file(path, start=offset, end=offset + size)) if size else b""
        handle = _opened(file, os.getpid())
        if handle.replaced:
            _opened.cache_clear()
            handle = _opened(file, os.getpid())
        return handle.read(offset, size)
    except Exception as error:  # whatever the client of the store raises
        raise unreadable(file, error) from error


def open_file(file: str) -> IO[bytes]:
    """Open a file that can be read at any place of it."""
    try:
        if not is_address(file):
            return Path(file).open("rb")
        files, path = file_system(file)
        opened: IO[bytes] = files.open(path, "rb")
        return opened
    except Exception as error:  # whatever the client of the store raises
        raise unreadable(file, error) from error


def walk_address(address: str) -> Iterator[tuple[str, int]]:
    """Yield path below an address, and size, of every file there."""
    files, root = file_system(address)
    try:
        found: dict[str, dict[str, Any]] = files.find(root, detail=True)
    except Exception as error:  # whatever the client of the store raises
        raise unreadable(address, error) from error
    prefix = root.rstrip("/") + "/"
    for path, known in found.items():
        if path.startswith(prefix) and known.get("type") == "file":
            yield path[len(prefix) :], int(known.get("size") or 0)


def unreadable(file: str, error: Exception) -> DataError:
    """Return the error that names a file which cannot be read, and why."""
    if isinstance(error, DataError):
        return error
    if isinstance(error, FileNotFoundError):
        return DataError("the file does not exist", file=file, fix="check the path")
    why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    return DataError(f"the file cannot be read: {why}", file=file, fix="check the path, and that you may read it")


class Handle:
    """An open file, closed when it is forgotten."""

    def __init__(self, file: str) -> None:
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset`; fewer where the file ends before."""
        return os.pread(self._descriptor, size, offset)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._descriptor).st_size

    @property
    def replaced(self) -> bool:
        """Whether another file has its name by now, or none."""
        return os.fstat(self._descriptor).st_nlink == 0

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._descriptor)


@lru_cache(maxsize=_OPEN)
def _opened(file: str, process: int) -> Handle:
    return Handle(file)


def file_system(address: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and what it calls the place.

    Raises
    ------
    DataError
        No package that is installed knows the scheme.
    """
    scheme, _, rest = address.partition("://")
    return _opened_system(scheme, os.getpid()), rest if scheme not in ("http", "https") else address


@lru_cache(maxsize=16)
def _opened_system(scheme: str, process: int) -> Any:
    """Return what reads addresses of a scheme; one for each process, as its threads do not survive a fork."""
    try:
        import fsspec

        return fsspec.filesystem(scheme, skip_instance_cache=True)
    except ImportError as error:
        raise DataError(
            f"addresses '{scheme}://' need a package that is not installed: {error}",
            fix=f"pip install fsspec, and the package that it names for '{scheme}' (s3: pip install s3fs)",
        ) from None
    except ValueError as error:
        raise DataError(f"addresses '{scheme}://' cannot be read: {error}", fix="check the address") from None
