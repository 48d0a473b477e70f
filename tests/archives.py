"""Archives of every kind made in memory, and the files and pictures that come out of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
from PIL import Image

FILES = {
    "dtd/images/banded/banded 01.jpg": b"striped" * 300,
    "dtd/images/banded/Käse\nund 茶.jpg": b"",
    "dtd/images/dotted/dotted_01.JPG": bytes(range(256)) * 9,
    "dtd/labels/train1.txt": b"banded/banded_01.jpg\n",
}
ENTRIES = tuple(FILES.items())
COMPRESS = {"tar": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
KINDS = (*COMPRESS, "zip")
ROOM = {"max_files": 1000, "max_bytes": 10_000_000}


def tar(entries) -> bytes:
    """A tar of names with content, or of whole `TarInfo`s (with content, or None)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", encoding="utf-8", errors="surrogateescape") as archive:
        for name, content in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is not None:
                info.size = len(content)
            archive.addfile(info, None if content is None else io.BytesIO(content))
    return stream.getvalue()


def zipped(entries) -> bytes:
    """Return a zip of names with content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def pack(kind: str, entries=ENTRIES) -> bytes:
    """Return an archive of one of `KINDS`."""
    return zipped(entries) if kind == "zip" else COMPRESS[kind](tar(entries))


def special(name: str, kind: bytes, target: str = "", **attributes) -> tarfile.TarInfo:
    """Return a member that is no regular file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def described(value) -> str:
    """Name a case by its text: compressed bytes hold the time."""
    return value[:30] if isinstance(value, str) else "data"


def tree(root) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def pixels(file) -> np.ndarray:
    """Return an image as an array."""
    with Image.open(file) as image:
        return np.asarray(image)
