"""The seal of an HDF5 file: digests of all its bytes that never change, in plain text before HDF5's own first byte.

HDF5 keeps no checksums of a file's structure, and its library may crash, ask for all memory or never come back when
that is damaged. So whoever opens a sealed file compares its bytes first, without HDF5. The seal lies in the *user
block*, which HDF5 skips::

    moodbench seal 1 0a1b2c3d                        checksum (CRC-32) of the rest of the block
    {"free": {"features": [offset, bytes], …},       may change after sealing: rows, which have their own checksums
     "parts": {"ids": [offset, bytes, sha256], …},   compared when they are read: they are large
     "rest": sha256,                                 of everything else
     "size": bytes}                                  of the file

It is written once, and from then on nothing but the free bytes is, and not through HDF5, which would note in the file
that it is open. Files without one are from before, or of other programs.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from isal.isal_zlib import crc32

BLOCK = 1024
"""Bytes of the user block: HDF5 takes powers of two from 512."""

_HEAD = re.compile(rb"moodbench seal (\d+) ([0-9a-f]{8})\n")
_VERSION = 1
_PIECE = 1 << 20

Extent = tuple[int, int]
"""Offset and number of bytes."""


class BrokenSealError(Exception):
    """The file is not as it was sealed; the message says in a few words what is wrong."""


@dataclass(frozen=True)
class Seal:
    """What a file was when it was sealed; see the module's text.

    Attributes
    ----------
    size : int
    free : mapping of name to (offset, bytes)
    parts : mapping of name to (offset, bytes, SHA-256 in hex)
    rest : str
        SHA-256 in hex.
    """

    size: int
    free: Mapping[str, Extent]
    parts: Mapping[str, tuple[int, int, str]]
    rest: str


def rest_pieces(stream: IO[bytes], extents: Iterable[Extent]) -> Iterator[tuple[int, bytes]]:
    """Yield, piece by piece with its offset, everything behind the block that lies in none of `extents`."""
    position, size = BLOCK, stream.seek(0, io.SEEK_END)
    for offset, length in (*sorted(extents), (size, 0)):
        yield from _pieces(stream, position, offset)
        position = offset + length


def put_seal(
    stream: IO[bytes], *, free: Mapping[str, Extent] | None = None, parts: Mapping[str, Extent] | None = None
) -> None:
    """Write the seal of the file that `stream` reads and writes; its user block has `BLOCK` bytes."""
    free, named = free or {}, parts or {}
    text = {
        "free": {name: list(extent) for name, extent in free.items()},
        "parts": {name: [*extent, _digest(stream, *extent)] for name, extent in named.items()},
        "rest": _rest_digest(stream, [*free.values(), *named.values()]),
        "size": stream.seek(0, io.SEEK_END),
    }
    head = len(b"moodbench seal 1 00000000\n")
    body = json.dumps(text, sort_keys=True).encode().ljust(BLOCK - head, b"\0")
    if len(body) > BLOCK - head:
        raise ValueError("the seal does not fit into its block")
    stream.seek(0)
    stream.write(b"moodbench seal %d %08x\n" % (_VERSION, crc32(body)) + body)


def read_seal(stream: IO[bytes]) -> Seal | None:
    """Return the seal of a file, once everything but the free arrays and the parts was compared; None if it has none.

    Raises
    ------
    BrokenSealError
        A byte differs, or the file is longer or shorter.
    """
    stream.seek(0)
    block = stream.read(BLOCK)
    head = _HEAD.match(block)
    if head is None:
        return None
    if int(head[1]) != _VERSION:
        raise BrokenSealError(f"its seal is of version {int(head[1])}, which this version of moodbench does not know")
    if len(block) < BLOCK or crc32(block[head.end() :]) != int(head[2], 16):
        raise BrokenSealError("its seal is damaged")
    seal = _parse(block[head.end() :])
    size = stream.seek(0, io.SEEK_END)
    if size != seal.size:
        word = "truncated" if size < seal.size else "too long"
        raise BrokenSealError(f"it is {word}: {size} bytes instead of {seal.size}")
    extents = [*seal.free.values(), *((offset, length) for offset, length, _ in seal.parts.values())]
    if _rest_digest(stream, extents) != seal.rest:
        raise BrokenSealError("its structure is damaged")
    return seal


def check_part(stream: IO[bytes], seal: Seal, name: str) -> None:
    """Raise a `BrokenSealError` unless the bytes of a part are as they were sealed."""
    offset, length, digest = seal.parts[name]
    if _digest(stream, offset, length) != digest:
        raise BrokenSealError(f"its {name} are damaged")


def _parse(body: bytes) -> Seal:
    text = json.loads(body.rstrip(b"\0"))
    return Seal(
        size=text["size"],
        free={name: (extent[0], extent[1]) for name, extent in text["free"].items()},
        parts={name: (part[0], part[1], part[2]) for name, part in text["parts"].items()},
        rest=text["rest"],
    )


def _rest_digest(stream: IO[bytes], extents: Iterable[Extent]) -> str:
    digest = hashlib.sha256()
    for _, piece in rest_pieces(stream, extents):
        digest.update(piece)
    return digest.hexdigest()


def _digest(stream: IO[bytes], offset: int, length: int) -> str:
    digest = hashlib.sha256()
    for _, piece in _pieces(stream, offset, offset + length):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(stream: IO[bytes], begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    stream.seek(begin)
    while begin < end:
        piece = stream.read(min(_PIECE, end - begin))
        if not piece:
            return
        yield begin, piece
        begin += len(piece)
