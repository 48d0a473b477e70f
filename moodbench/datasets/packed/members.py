"""The members of archives: which there are, and where the bytes of each lie."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodbench.atomic import replace_file
from moodbench.datasets.packed.storage import read_range, stamp
from moodbench.errors import DataError

FOLDER = "indexes"
"""Folder of the kept indexes, below the data directory."""

AS_IT_IS, DEFLATED, OF_ZIP, OF_TAR = 0, 1, 2, 3
"""How a member is stored: a file by itself; in a zip compressed; in a zip as it is; in a tar, after its header."""

UNREADABLE = -2
"""Instead of a class: something is said of it that is no number."""

_BLOCK = 512  # of a tar

_VERSION = "moodbench index 2"
_HEADER = 30  # bytes of a member's header in a zip, before its name
_EXTRA = 512  # what its name and notes usually take at most


@dataclass(frozen=True)
class Member:
    """One file in an archive.

    Attributes
    ----------
    name : str
    offset : int
        Where its bytes begin; in a zip: where its header begins.
    size, stored : int
        Bytes, and bytes that it takes in the archive.
    how : int
        `AS_IT_IS`, `DEFLATED`, `OF_ZIP` or `OF_TAR`.
    crc : int
        CRC-32 of its bytes in a zip, of its header in a tar: so that what has changed since is not taken for it.
    number : int
        The class that a member of the same key says (WebDataset's ``.cls``); -1 where none does, or `UNREADABLE`.
    """

    name: str
    offset: int
    size: int
    stored: int
    how: int = AS_IT_IS
    crc: int = 0
    number: int = -1


@dataclass(frozen=True, eq=False)
class Members:
    """N members of one or more archives; picklable.

    Attributes
    ----------
    files : tuple of str
        The archives.
    names : tuple of str
    shard, offset, size, stored, how, crc, number : (N,) integers
        See `Member`; `shard` is the archive.
    """

    files: tuple[str, ...]
    names: tuple[str, ...]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    stored: NDArray[np.int64]
    how: NDArray[np.uint8]
    crc: NDArray[np.uint32]
    number: NDArray[np.int64]

    @classmethod
    def gathered(cls, files: Sequence[str], found: Iterable[tuple[int, Member]]) -> Members:
        """Put members of archives side by side."""
        rows = [(shard, m.offset, m.size, m.stored, m.how, m.crc, m.number, m.name) for shard, m in found]
        columns = list(zip(*rows, strict=True)) or [()] * 8
        return cls(
            tuple(files),
            tuple(columns[7]),
            np.array(columns[0], np.int32),
            np.array(columns[1], np.int64),
            np.array(columns[2], np.int64),
            np.array(columns[3], np.int64),
            np.array(columns[4], np.uint8),
            np.array(columns[5], np.uint32),
            np.array(columns[6], np.int64),
        )

    def __len__(self) -> int:
        return len(self.names)

    def place(self, row: int) -> str:
        """Return what a message calls a member: its archive, and its name in there."""
        file, name = self.files[self.shard[row]], self.names[row]
        return file if file.endswith(f"/{name}") else f"{file}/{name}"

    def read(self, row: int) -> bytes:
        """Return the bytes of a member.

        Raises
        ------
        DataError
            The archive cannot be read, ends too early, or what lies there is not the member.
        """
        file, offset = self.files[self.shard[row]], int(self.offset[row])
        size, stored, how = int(self.size[row]), int(self.stored[row]), int(self.how[row])
        if how in (AS_IT_IS, OF_TAR):
            before = _BLOCK if how == OF_TAR else 0
            data = read_range(file, offset - before, before + stored)
            if before and zlib.crc32(data[:before]) != int(self.crc[row]):
                raise self._damaged(row)
            data = data[before:]
        else:
            data = _from_zip(file, offset, stored)
            data = self._inflated(data, size, row) if how == DEFLATED else data
            if zlib.crc32(data) != int(self.crc[row]):
                raise self._damaged(row)
        if len(data) != size:
            raise self._damaged(row)
        return data

    @property
    def extent(self) -> str:
        """Nothing: members have sizes of their own."""
        return ""

    def _inflated(self, data: bytes, size: int, row: int) -> bytes:
        try:
            # one byte more than it should have is enough to see that it is another
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
        except zlib.error:
            raise self._damaged(row) from None

    def _damaged(self, row: int) -> DataError:
        return DataError(
            "a member of an archive is damaged: its bytes are not those that the archive's directory tells of",
            file=self.place(row),
            fix="replace the archive with an intact copy, or leave unreadable images out with  --on-error skip",
        )


def _from_zip(file: str, offset: int, stored: int) -> bytes:
    """Return the stored bytes of a member, which follow a header, its name and its notes."""
    data = read_range(file, offset, _HEADER + _EXTRA + stored)
    begin = _HEADER + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
    if data[:4] != b"PK\x03\x04":
        return b""
    if len(data) < begin + stored:
        data += read_range(file, offset + len(data), begin + stored - len(data))
    return data[begin : begin + stored]


def _stamps(files: Sequence[str]) -> str:
    digest = hashlib.sha256(_VERSION.encode())
    for file in files:
        digest.update(f"\0{file}\0{stamp(file)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def refuse_compressed(file: str, how: str) -> DataError:
    """Return the error for an archive that is compressed as a whole."""
    return DataError(
        f"the archive is compressed as a whole ({how}): to get at one image, all before it would be unpacked each time",
        file=file,
        fix="decompress it once (gunzip, unxz, unzstd) to a plain .tar, or pack the images as a .zip, whose members "
        "are compressed one by one",
    )


class Index:
    """The kept list of an archive's members, so that a million headers are read once.

    It is known by the names of the archives and their state: of one that has changed since, nothing is used.

    Parameters
    ----------
    folder : Path or None
        The data directory. None, or one that cannot be written: nothing is kept.
    files : sequence of str
        The archives.
    """

    def __init__(self, folder: Path | None, files: Sequence[str]) -> None:
        self.files = tuple(files)
        key = _stamps(self.files)
        name = Path(self.files[0]).name.encode("utf-8", "replace").decode("ascii", "replace").replace("\ufffd", "_")
        self.file = None if folder is None else folder / FOLDER / f"{name[:60]}-{key[:24]}.npz"

    def load(self) -> Members | None:
        """Return what was kept; None where there is nothing, or nothing that is whole."""
        if self.file is None or not self.file.is_file():
            return None
        try:
            with self.file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                names = kept["names"].tobytes().decode("utf-8", "surrogateescape")
                columns = [kept[key] for key in ("shard", "offset", "size", "stored", "how", "crc", "number")]
        except Exception:  # NumPy raises anything on damaged bytes; the archive is read again then
            return None
        found = tuple(names.split("\0")) if names else ()
        kinds = (np.int32, np.int64, np.int64, np.int64, np.uint8, np.uint32, np.int64)
        fits = all(c.shape == (len(found),) and c.dtype == k for c, k in zip(columns, kinds, strict=True))
        return Members(self.files, found, *columns) if fits else None

    def keep(self, members: Members) -> None:
        """Keep the members for the next time, if the folder can be written."""
        if self.file is None:
            return
        names = "\0".join(members.names).encode("utf-8", "surrogateescape")
        columns = {key: getattr(members, key) for key in ("shard", "offset", "size", "stored", "how", "crc", "number")}
        buffer = io.BytesIO()
        np.savez(buffer, names=np.frombuffer(names, np.uint8), **columns)
        with contextlib.suppress(OSError):
            replace_file(self.file, buffer.getbuffer())
