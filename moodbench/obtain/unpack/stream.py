"""Reading forwards through a file that may be compressed, with an eye on what it grows to."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from moodbench.errors import DataError
from moodbench.obtain.unpack.kinds import AGAIN, COMPRESSED, HEAD, kind_of, not_an_archive

CHUNK = 1 << 20
"""Bytes that are read and written at a time."""

MAX_RATIO, SLACK = 200, 64 << 20
"""A compressed file that grows more than this many times (after so many bytes) is a bomb: images hardly shrink."""

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
)
"""What the standard library raises on damaged archives."""


@contextlib.contextmanager
def damage(archive: Path) -> Iterator[None]:
    """Turn what goes wrong while reading an archive into one error that names it."""
    try:
        yield
    except DataError:
        raise
    except MemoryError:
        raise DataError("the archive asks for more memory than there is", file=archive, fix=AGAIN) from None
    except _DAMAGE as error:
        raise DataError(
            f"the archive is damaged or cut off: {str(error) or type(error).__name__}", file=archive, fix=AGAIN
        ) from None


class Forward(io.RawIOBase):
    """A stream that is only read forwards.

    `tarfile` reads through it; it cannot be sent backwards (in circles) by a crafted header, nor made to read more
    than a chunk at once.

    Parameters
    ----------
    stream : file
        What to read from; positions count from where it stands.
    archive : Path
        Named in errors.
    raw : file, optional
        The compressed file below `stream`, to compare its growth with.
    jump : bool
        Seek in `stream` instead of reading what lies between.
    """

    def __init__(self, stream: BinaryIO, archive: Path, *, raw: BinaryIO | None = None, jump: bool = False) -> None:
        super().__init__()
        self._stream, self._archive, self._raw, self._jump = stream, archive, raw, jump
        self._position = 0
        self.last = b""
        """What was read last."""

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return how many bytes were passed."""
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        if size is None or not 0 <= size <= CHUNK:
            raise tarfile.ReadError(f"a header asks for {size} bytes at once")
        self.last = self._stream.read(size)
        self._position += len(self.last)
        if self._raw is not None and self._position > SLACK + MAX_RATIO * self._raw.tell():
            raise DataError(
                f"the archive grows to more than {MAX_RATIO} times its size: it is made to fill memory or disk",
                file=self._archive,
                fix="do not use it",
            )
        return self.last

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go on to `offset`."""
        if whence != io.SEEK_SET or offset < self._position:
            raise tarfile.ReadError("a header points backwards")
        if self._jump and offset > self._position:
            self._stream.seek(offset)
            self._position = offset
        while self._position < offset and self.read(min(CHUNK, offset - self._position)):
            pass
        return self._position


@contextlib.contextmanager
def open_raw(archive: Path) -> Iterator[BinaryIO]:
    """Open a file for reading."""
    try:
        raw = archive.open("rb")
    except OSError as error:
        raise DataError(f"the archive cannot be opened: {error.strerror}", file=archive) from None
    with raw:
        yield raw


def tar_stream(raw: BinaryIO, archive: Path, kind: str) -> Forward:
    """Return the tar stream in a file of the kind `kind`.

    Raises
    ------
    DataError
        There is none in it, or this Python cannot decompress it.
    """
    if kind not in COMPRESSED:
        return Forward(raw, archive, jump=True)
    with decompressed(raw, archive, kind) as stream:
        head = stream.read(HEAD)
    raw.seek(0)
    if kind_of(head) != "tar":
        raise not_an_archive(archive, head, f"compressed with {kind}")
    return Forward(decompressed(raw, archive, kind), archive, raw=raw)


def decompressed(raw: BinaryIO, archive: Path, kind: str) -> BinaryIO:
    """Return `raw` decompressed."""
    if kind == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if kind == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(raw))
    if kind == "xz":
        return cast(BinaryIO, lzma.LZMAFile(raw))
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        raise DataError(
            "the archive is compressed with Zstandard, which Python reads from version 3.14 on",
            file=archive,
            fix="decompress it (zstd -d) and use the tar",
        ) from None
    return cast(BinaryIO, zstd.ZstdFile(raw))
