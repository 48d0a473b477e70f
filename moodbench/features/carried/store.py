"""A place of files by name: a folder, or whatever fsspec knows (``s3://bucket/caches``).

Object stores have no locks and no renaming. So a file counts only once a second, small one beside it says its SHA-256:
``head.h5`` and ``head.h5.sha256``, a line as `sha256sum` writes and reads it. What was half brought has none.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from moodbench.atomic import replace_by, replace_file, sweep
from moodbench.datasets.packed.storage import file_system
from moodbench.digests import size_and_sha256
from moodbench.errors import CacheError, DataError, MoodbenchError, UsageError
from moodbench.features.carried.layout import FOLDERS
from moodbench.names import is_address

MARK = ".sha256"
"""Of the small file's name."""

DAY = 24 * 3600.0
"""Seconds. Nobody writes so long to a file without a byte more."""

_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n]+)\n")


class _Files(Protocol):
    """What a place can do; whatever its client raises is passed on."""

    def sizes(self) -> dict[str, int]:
        """Name → bytes of every file."""

    def put(self, file: Path, name: str) -> None:
        """Bring a file, in the place of one that is there."""

    def write(self, data: bytes, name: str) -> None:
        """Bring a small one."""

    def get(self, name: str, file: Path) -> None:
        """Fetch a file."""

    def read(self, name: str) -> bytes:
        """Fetch a small one."""

    def tidy(self, name: str) -> None:
        """Remove what is left of attempts to bring a file that nobody goes on with."""


class Store:
    """The files below an address or path.

    Parameters
    ----------
    address : str
        As it is typed.

    Raises
    ------
    UsageError
        It is empty, or names no place below its scheme.
    CacheError
        Nothing here can read and write such addresses.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.folder = None if is_address(address) else Path(address)
        named = bool(address and self.address)
        self._files: _Files
        if self.folder is not None:
            self._files = _Folder(self.folder)
        else:
            try:
                self._files = remote = _Remote(address)
            except DataError as error:
                raise CacheError(error.what, fix=error.fix) from None
            named = bool(remote.root)
        if not named:
            raise UsageError(
                f"'{address}' names no place for caches", fix="a folder, or an address: s3://BUCKET/CACHES"
            )

    def whole(self) -> dict[str, int]:
        """Return the names of the files that are there whole, with their bytes; none where nobody brought any."""
        with self._failing(self.address, "read"):
            sizes = self._files.sizes()
        return {
            name: size
            for name, size in sizes.items()
            if sizes.get(f"{name}{MARK}") == len(_line("0" * 64, name))  # a shorter one was cut off
        }

    def put(self, file: Path, name: str) -> None:
        """Bring a file.

        Raises
        ------
        CacheError
            The file cannot be read, or the place not be written.
        """
        with self._failing(self.at(name), "written"):
            sha256 = size_and_sha256(file)[1]
            self._files.put(file, name)
            self._files.write(_line(sha256, name), name + MARK)

    def get(self, name: str, file: Path) -> None:
        """Fetch a file, and compare its digest; folders are made.

        Raises
        ------
        CacheError
            It is not what was brought, or cannot be read, or there is no room for it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._failing(self.at(name), "fetched"):
            self._files.get(name, file)
        if not self.has(name, file):
            raise CacheError(
                "what lies there is not what was brought: its SHA-256 differs",
                file=self.at(name),
                fix=_bring_again(name),
            )

    def has(self, name: str, file: Path) -> bool:
        """Say whether a file is, byte for byte, what was brought under a name; nothing but its digest is fetched.

        Raises
        ------
        CacheError
            The digest cannot be read, or is that of another file.
        """
        with self._failing(self.at(name + MARK), "fetched"):
            noted = _LINE.fullmatch(self._files.read(name + MARK))
        if noted is None:
            return False
        if noted[2] != PurePosixPath(name).name.encode():
            raise CacheError(
                f"the SHA-256 beside this file is that of '{noted[2].decode(errors='replace')}'",
                file=self.at(name),
                fix=_bring_again(name),
            )
        return noted[1].decode() == size_and_sha256(file)[1]

    def tidy(self, name: str) -> None:
        """Remove what killed commands left of a file, if it has been left for a day: it may be somebody's work."""
        self._files.tidy(name)

    def at(self, name: str) -> str:
        """Return the address of a file."""
        return f"{self.address}/{name}"

    @contextlib.contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """Let an error about what was fetched name the file there, and not the copy that is looked at."""
        try:
            yield
        except MoodbenchError as error:
            raise CacheError(
                error.what,
                file=self.at(name),
                fix=_bring_again(name),
            ) from None

    @contextlib.contextmanager
    def _failing(self, where: str, what: str) -> Iterator[None]:
        """Turn whatever a client of a store raises into a `CacheError`."""
        try:
            yield
        except Exception as error:  # the clients have no common base
            why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
            why = "its folders lie too deep in one another" if isinstance(error, RecursionError) else why
            raise CacheError(
                f"it cannot be {what}: {why}", file=where, fix="check the address, the access to it, and the disks"
            ) from None


def _bring_again(name: str) -> str:
    return f"remove it and '{PurePosixPath(name).name}{MARK}' there, then push it again"


def _line(sha256: str, name: str) -> bytes:
    return f"{sha256}  {PurePosixPath(name).name}\n".encode()


class _Folder:
    """A folder of this machine, or one that it mounts. Nothing is written through links."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sizes(self) -> dict[str, int]:
        """Name → bytes of every file that is no link, down to where names of caches end."""
        found: dict[str, int] = {}
        if not os.path.lexists(self._root):
            return found
        if not self._root.is_dir():
            raise NotADirectoryError("that is no folder")
        for folder, below, files in os.walk(self._root, onerror=_raise):
            if len(Path(folder).relative_to(self._root).parts) == FOLDERS:
                below.clear()  # whatever lies deeper, however deep, nobody brought so
            for name in files:
                file = Path(folder) / name
                if file.is_file() and not file.is_symlink():
                    found[file.relative_to(self._root).as_posix()] = file.stat().st_size
        return found

    def put(self, file: Path, name: str) -> None:
        """Copy a file under a name of its own, then rename it."""
        with file.open("rb") as source:
            replace_by(self._place(name), lambda target: shutil.copyfileobj(source, target, 1 << 20))

    def write(self, data: bytes, name: str) -> None:
        """Write a small file, whole or not at all."""
        replace_file(self._place(name), data)

    def get(self, name: str, file: Path) -> None:
        """Copy a file."""
        shutil.copyfile(self._root / name, file)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return (self._root / name).read_bytes()

    def tidy(self, name: str) -> None:
        """Remove temporary files of a day ago; younger ones may be those of a living process, on any machine."""
        with contextlib.suppress(OSError):
            sweep(self._place(name), idle=DAY)

    def _place(self, name: str) -> Path:
        place = self._root / name
        for parent in [place, *place.parents]:
            if parent == self._root:
                break
            if parent.is_symlink():
                raise OSError(f"'{parent.relative_to(self._root)}' is a link there")
        return place


def _raise(error: OSError) -> None:
    raise error


class _Remote:
    """What an address of fsspec stands for."""

    def __init__(self, address: str) -> None:
        self._files: Any
        self._files, path = file_system(address)
        self.root = path.rstrip("/")

    def sizes(self) -> dict[str, int]:
        """Name → bytes of every file."""
        self._files.invalidate_cache()
        try:
            self._files.ls(self.root, detail=False)  # `find` passes over what it cannot read
            found: dict[str, dict[str, Any]] = self._files.find(self.root, detail=True)
        except FileNotFoundError:
            return {}
        prefix = f"{self.root}/"
        return {
            path[len(prefix) :]: int(known.get("size") or 0)
            for path, known in found.items()
            if path.startswith(prefix) and known.get("type") == "file"
        }

    def put(self, file: Path, name: str) -> None:
        """Bring a file."""
        self._files.put_file(str(file), f"{self.root}/{name}")

    def write(self, data: bytes, name: str) -> None:
        """Bring a small one."""
        self._files.pipe_file(f"{self.root}/{name}", data)

    def get(self, name: str, file: Path) -> None:
        """Fetch a file."""
        self._files.get_file(f"{self.root}/{name}", str(file))

    def tidy(self, name: str) -> None:
        """Leave it to the store: what is not uploaded whole has no name there."""

    def read(self, name: str) -> bytes:
        """Fetch a small one."""
        return bytes(self._files.cat_file(f"{self.root}/{name}"))
