"""A place of files by name: a folder, or whatever fsspec knows (``s3://bucket/caches``).

Object stores have no locks and no renaming. So a file counts only once a second, small one beside it says its SHA-256:
``head.h5`` and ``head.h5.sha256``, a line as `sha256sum` writes and reads it. What was half brought has none.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from moodbench.datasets.packed.storage import file_system
from moodbench.digests import size_and_sha256
from moodbench.errors import CacheError, DataError, UsageError
from moodbench.names import is_address

MARK = ".sha256"
"""Of the small file's name."""

_LINE = re.compile(rb"([0-9a-f]{64})  [^\n]+\n?")


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
        try:
            if is_address(address):
                self._files, self._root = file_system(address)
            else:
                from fsspec.implementations.local import LocalFileSystem

                self._files, self._root = LocalFileSystem(auto_mkdir=True), os.path.abspath(address)  # noqa: PTH100
        except DataError as error:
            raise CacheError(error.what, fix=error.fix) from None
        if not address or not self._root.strip("/"):
            raise UsageError(
                f"'{address}' names no place for caches", fix="a folder, or an address: s3://BUCKET/CACHES"
            )

    def whole(self) -> dict[str, int]:
        """Return the names of the files that are there whole, with their bytes; none where nobody brought any."""
        with self._failing(self.address, "read"):
            self._files.invalidate_cache()
            try:
                found: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
            except FileNotFoundError:
                found = {}
        prefix = self._root.rstrip("/") + "/"
        sizes = {
            path[len(prefix) :]: int(known.get("size") or 0)
            for path, known in found.items()
            if path.startswith(prefix) and known.get("type") == "file"
        }
        return {name: size for name, size in sizes.items() if f"{name}{MARK}" in sizes}

    def put(self, file: Path, name: str) -> None:
        """Bring a file.

        Raises
        ------
        CacheError
            The file cannot be read, or the place not be written.
        """
        sha256 = size_and_sha256(file)[1]
        with self._failing(self.at(name), "written"):
            self._files.put_file(str(file), self._path(name))
            self._files.pipe_file(self._path(name + MARK), f"{sha256}  {PurePosixPath(name).name}\n".encode())

    def get(self, name: str, file: Path) -> None:
        """Fetch a file, and compare its digest; folders are made.

        Raises
        ------
        CacheError
            It is not what was brought, or cannot be read, or there is no room for it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._failing(self.at(name), "fetched"):
            self._files.get_file(self._path(name), str(file))
        if not self.has(name, file):
            raise CacheError(
                "what lies there is not what was brought: its SHA-256 differs",
                file=self.at(name),
                fix=f"remove it and '{PurePosixPath(name).name}{MARK}' there, then push it again",
            )

    def has(self, name: str, file: Path) -> bool:
        """Say whether a file is, byte for byte, what was brought under a name; nothing but its digest is fetched."""
        with self._failing(self.at(name), "fetched"):
            noted = _LINE.fullmatch(bytes(self._files.cat_file(self._path(name + MARK))))
        return noted is not None and noted[1].decode() == size_and_sha256(file)[1]

    def at(self, name: str) -> str:
        """Return the address of a file."""
        return f"{self.address}/{name}"

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextlib.contextmanager
    def _failing(self, where: str, what: str) -> Iterator[None]:
        """Turn whatever a client of a store raises into a `CacheError`."""
        try:
            yield
        except Exception as error:  # the clients have no common base
            why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
            raise CacheError(
                f"it cannot be {what}: {why}", file=where, fix="check the address, the access to it, and the disks"
            ) from None
