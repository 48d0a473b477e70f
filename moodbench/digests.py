"""Digests of files, computed in one reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_BLOCK = 1 << 20

KINDS: Mapping[str, Callable[[int], Any]] = {
    "md5": lambda size: hashlib.md5(usedforsecurity=False),
    "sha256": lambda size: hashlib.sha256(),
    "git_blob": lambda size: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False),
}
"""Name of a digest → a new hash for a file of so many bytes. ``git_blob`` is the id that git gives to a file."""


def digest_file(file: Path, kinds: Iterable[str] = ("sha256",)) -> dict[str, str]:
    """Return the digests of a file in lower-case hex, reading it once.

    Parameters
    ----------
    file : Path
    kinds : iterable of str
        Any of `KINDS`.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with file.open("rb", buffering=0) as stream:
        return _digest(stream, kinds)[1]


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    return digest_file(file)["sha256"]


def size_and_sha256(file: Path) -> tuple[int, str]:
    """Return how many bytes a file has, and their SHA-256 in hex."""
    with file.open("rb", buffering=0) as stream:
        size, digests = _digest(stream, ("sha256",))
        return size, digests["sha256"]


def _digest(stream: BinaryIO, kinds: Iterable[str]) -> tuple[int, dict[str, str]]:
    """Return how many bytes were read, and their digests."""
    size = os.fstat(stream.fileno()).st_size
    buffer = memoryview(bytearray(max(1, min(_BLOCK, size))))  # a small file needs no large one
    hashes = {kind: KINDS[kind](size) for kind in kinds}
    read = 0
    while count := stream.readinto(buffer):  # type: ignore[attr-defined]
        read += count
        for each in hashes.values():
            each.update(buffer[:count])
    return read, {kind: each.hexdigest() for kind, each in hashes.items()}
