"""Arrays in ``.npy`` and ``.npz`` files: headers first, compared with the file; then rows, block by block."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO, cast

import numpy as np

ArrayOf = np.ndarray[Any, Any]

ROOM = 256 << 20
"""Bytes of an array below which its compression does not matter."""

RATIO = 200
"""A larger array may not take more bytes than this many times those it has in the archive: real features, even of a
network that leaves one value in a hundred above zero, compress less than 50 times."""

BLOCK = 16 << 20
"""Bytes that are read at once, about."""

_MOST_HEADER = 10_000
_KINDS = {"O": "Python objects", "V": "records", "M": "dates", "m": "intervals of time", "c": "complex numbers"}
_VERSIONS = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, as its header describes it. Nothing of it is read before it is asked for.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    parts : callable
        Starts to read: takes a number of rows and yields arrays of so many, the last one of the rest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Callable[[int], Iterator[ArrayOf]]

    def whole(self) -> ArrayOf:
        """Return all of it."""
        if not self.shape:
            return next(self.parts(1))
        pieces = list(self.parts(max(1, self.shape[0])))
        return pieces[0] if pieces else np.empty(self.shape, self.dtype)


def held(array: ArrayOf) -> StoredArray:
    """Return an array that is in memory already."""

    def parts(rows: int) -> Iterator[ArrayOf]:
        if not array.shape:
            yield array
        for start in range(0, len(array) if array.shape else 0, rows):
            yield array[start : start + rows]

    return StoredArray(array.shape, array.dtype, parts)


def stored_in_file(open_file: Callable[[], BinaryIO]) -> StoredArray:
    """Return the array of a ``.npy`` file.

    Raises
    ------
    ValueError
        It is none, or its header declares another size than it has.
    """
    with open_file() as stream:
        header = _header(stream)
        begin = stream.tell()
        header.check(stream.seek(0, io.SEEK_END) - begin)
    return header.stored(lambda: _behind(open_file, begin))


class Archive(Mapping[str, StoredArray]):
    """The arrays of a ``.npz`` file by name. The header of one is read when it is asked for.

    Raises
    ------
    ValueError, zipfile.BadZipFile
        It is no archive, or has two arrays with the same name; of an array: it is none, its header declares another
        size than it has, or so much more than the archive holds of it that it cannot be what it seems.
    """

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open_file = open_file
        with open_file() as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
        self._members = {member.filename.removesuffix(".npy"): member for member in members}
        if len(self._members) < len(members):
            raise ValueError("it has two arrays with the same name")

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> StoredArray:
        member = self._members[name]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is compressed in a way that NumPy does not use")
        with self._member(member) as stream:
            header = _header(stream)
            begin = stream.tell()
        header.check(member.file_size - begin)
        if header.size > max(ROOM, RATIO * member.compress_size):
            raise ValueError(f"it unpacks from {member.compress_size} bytes to {header.size}, which features never do")
        return header.stored(lambda: self._member(member, begin))

    @contextmanager
    def _member(self, member: zipfile.ZipInfo, header: int = 0) -> Iterator[BinaryIO]:
        """Open the content of a member behind its header."""
        with self._open_file() as stream, zipfile.ZipFile(stream) as archive, archive.open(member) as content:
            content.read(header)
            yield cast(BinaryIO, content)


@contextmanager
def _behind(open_file: Callable[[], BinaryIO], header: int) -> Iterator[BinaryIO]:
    with open_file() as stream:
        stream.seek(header)
        yield stream


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def check(self, size: int) -> None:
        if self.size != size:
            raise ValueError(f"it declares {self.dtype} of shape {self.shape}, {self.size} bytes, and holds {size}")

    def stored(self, begin: Callable[[], AbstractContextManager[BinaryIO]]) -> StoredArray:
        def parts(rows: int) -> Iterator[ArrayOf]:
            with begin() as stream:
                # by columns, or without rows: in one piece
                whole = self.fortran or len(self.shape) == 0
                yield from self._whole(stream, rows) if whole else self._rows(stream, rows)
                if stream.read(1):  # at its end, an archive compares checksums
                    raise ValueError("it holds more than its header declares")

        return StoredArray(self.shape, self.dtype, parts)

    def _rows(self, stream: BinaryIO, rows: int) -> Iterator[ArrayOf]:
        for start in range(0, self.shape[0], rows):
            yield self._read(stream, (min(rows, self.shape[0] - start), *self.shape[1:]))

    def _whole(self, stream: BinaryIO, rows: int) -> Iterator[ArrayOf]:
        array = self._read(stream, self.shape[::-1]).T
        yield from held(array).parts(rows)

    def _read(self, stream: BinaryIO, shape: tuple[int, ...]) -> ArrayOf:
        data = bytearray(prod(shape) * self.dtype.itemsize)
        view, done = memoryview(data), 0
        while done < len(data):
            piece = stream.read(min(BLOCK, len(data) - done))
            if not piece:
                raise ValueError("it ends too early")
            view[done : done + len(piece)] = piece
            done += len(piece)
        return np.frombuffer(data, self.dtype).reshape(shape)


def _header(stream: BinaryIO) -> _Header:
    """Read the header of an array, and stay behind it."""
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY":
        raise ValueError("it is not a NumPy array")
    version = (start[6], start[7])
    if version not in _VERSIONS:
        raise ValueError(f"it has version {version[0]}.{version[1]} of NumPy's format, which no plain array needs")
    width, parse = _VERSIONS[version]
    length = stream.read(width)
    if int.from_bytes(length, "little") > _MOST_HEADER:
        raise ValueError(f"its header is longer than {_MOST_HEADER} bytes")
    text = stream.read(int.from_bytes(length, "little"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, on texts that are no header
            shape, fortran, dtype = parse(io.BytesIO(length + text))
    except Exception as error:  # NumPy evaluates the text as Python
        raise ValueError(f"its header cannot be understood: {type(error).__name__}") from None
    if dtype.kind in _KINDS or dtype.itemsize == 0 or dtype.subdtype is not None:
        raise ValueError(f"it holds {_KINDS.get(dtype.kind, f'values of type {dtype}')}, not numbers or texts")
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError(f"it declares the shape {shape}")
    return _Header(shape, bool(fortran), dtype)
