"""What a file is, from its first bytes: names lie."""

from __future__ import annotations

import re
import tarfile
from html import unescape
from pathlib import Path

from moodbench.errors import DataError
from moodbench.obtain.unpack.names import shown

HEAD = 4096
"""Bytes that are looked at."""

AGAIN = "remove the file and fetch it again"

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
COMPRESSED = ("gzip", "bzip2", "xz", "zstd")

_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"MATLAB 5.0": "a MATLAB file",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
    **{magic: f"a {kind} file" for magic, kind in _MAGIC.items()},
}


def kind_of(head: bytes) -> str | None:
    """Return ``tar``, ``zip``, ``gzip``, ``bzip2``, ``xz`` or ``zstd``; None for everything else."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return "tar" if is_tar(head) else None


def is_tar(head: bytes) -> bool:
    """Whether it begins with a tar header (whose checksum is right), or with the end mark of an empty one."""
    block = head[: tarfile.BLOCKSIZE]
    if len(block) == tarfile.BLOCKSIZE and not any(block):
        return True
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def describe(head: bytes) -> str:
    """Say what a file that is no archive seems to be."""
    if not head:
        return "empty"
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            return what
    text = _text(head)
    if text is None:
        return f"nothing known (its first bytes are {head[:8].hex(' ')})"
    if re.match(r"<(!doctype html|html|head|\?xml|!--)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
        called = f" ('{_short(unescape(title[1]))}')" if title and title[1] else ""
        return f"a web page{called}, likely a server's error page"
    return f"a text that begins with '{_short(text)}'"


def _short(text: str) -> str:
    line = shown(" ".join(text.split()))
    return line if len(line) <= 60 else line[:59] + "…"


def _text(head: bytes) -> str | None:
    """Return the head as text, if it is one."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    if re.search(rb"[\x00-\x08\x0e-\x1f]", head):
        return None
    text = head.decode("utf-8", "replace").strip()
    return text if text and text.count("\ufffd") * 10 <= len(text) else None


def not_an_archive(file: Path, head: bytes, inside: str = "") -> DataError:
    """Return the error that a file (or what is `inside` its compression) is neither tar nor zip."""
    what = f"it is {inside}, and what is inside is no tar but {describe(head)}" if inside else f"it is {describe(head)}"
    return DataError(f"the file is not a tar or zip archive: {what}", file=file, fix=AGAIN)
