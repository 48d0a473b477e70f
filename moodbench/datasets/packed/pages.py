"""The bytes of images in the pages of a parquet file: read page by page, not a group of rows at once.

The hub writes groups of 100 MB in pages of at most one, and every process that decodes takes images of every group: of
a group it reads the pages that it needs, and keeps one. What is written in another way than pyarrow and the library
`datasets` do is left to pyarrow.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.datasets.packed.storage import Handle
from moodbench.datasets.packed.thrift import Struct, read_struct, varint

_CODECS = {"UNCOMPRESSED": None, "SNAPPY": "snappy", "ZSTD": "zstd"}
"""What parquet calls a way to compress → what pyarrow calls it."""

_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3  # kinds of pages
_PLAIN, _BY_NUMBER = (0,), (2, 8)  # encodings: the values themselves; their numbers in the dictionary
_HEADERS = (1 << 9, 1 << 16)  # bytes in which the header of a page is looked for; statistics may make it long


@dataclass(frozen=True)
class _Page:
    """Where a page lies, and how its values are written."""

    offset: int
    stored: int
    size: int
    count: int
    numbers: bool
    levels: int | None
    compressed: bool


@dataclass(frozen=True)
class Layout:
    """Where the pages of one column of bytes lie, in one group of rows.

    Attributes
    ----------
    pages : tuple
        In order of the rows.
    dictionary : page or None
    deepest : int
        The definition level of a value that is there.
    codec : str or None
        How pages are compressed.
    """

    pages: tuple[_Page, ...]
    dictionary: _Page | None
    deepest: int
    codec: str | None


class Pages:
    """The values of a column of bytes in a group of rows.

    Parameters
    ----------
    file : Handle
    layout : Layout
        See `find_pages`.
    """

    def __init__(self, file: Handle, layout: Layout) -> None:
        self._file, self._layout = file, layout
        self._ends = list(accumulate(page.count for page in layout.pages))
        self._kept: tuple[int, _Values] | None = None
        self._dictionary: _Values | None = None

    def read(self, row: int) -> bytes | None:
        """Return the value in a row of the group; None where there is none.

        Raises
        ------
        Exception
            Anything, on damaged bytes, or where the file cannot be read.
        """
        number = bisect_right(self._ends, row)
        kept = self._kept
        if kept is None or kept[0] != number:
            self._kept = kept = None  # dropped first: the next page is laid where this one was
            self._kept = kept = number, self._load(self._layout.pages[number])
        return kept[1][row - (self._ends[number - 1] if number else 0)]

    def _load(self, page: _Page) -> _Values:
        data, at, deepest = self._bytes(page), 0, self._layout.deepest
        there: NDArray[np.bool_] | None = None
        if page.levels is not None or deepest:
            begin, at = (0, page.levels) if page.levels is not None else (4, 4 + int.from_bytes(data[:4], "little"))
            if deepest:
                there = _hybrid(data[begin:at], deepest.bit_length(), page.count) == deepest
        count = page.count if there is None else int(there.sum())
        if not page.numbers:
            return _Values(data, _bounds(data, at, count), there)
        words = self._words()
        numbers = _hybrid(data[at + 1 :], data[at], count) if count else np.empty(0, np.int64)
        return _Values(words.data, words.bounds[numbers], there)

    def _words(self) -> _Values:
        """Return the dictionary."""
        if self._dictionary is None:
            page = self._layout.dictionary
            assert page is not None  # `find_pages` saw to it
            data = self._bytes(page)
            self._dictionary = _Values(data, _bounds(data, 0, page.count))
        return self._dictionary

    def _bytes(self, page: _Page) -> bytes:
        """Return a page as it was before it was compressed; levels that are never compressed come first."""
        data = self._file.read(page.offset, page.stored)
        if len(data) != page.stored:
            raise ValueError("the file ends within a page")
        if self._layout.codec is not None and page.compressed:
            import pyarrow

            before = page.levels or 0
            inner: Any = memoryview(data)[before:]
            size = page.size - before
            # where all values are missing, nothing was compressed
            whole: bytes = pyarrow.decompress(inner, size, self._layout.codec, asbytes=True) if size else b""
            data = data[:before] + whole if before else whole
        if len(data) != page.size:
            raise ValueError("a page of another size than its header says")
        return data


class _Values:
    """Values that lie in bytes, of the rows that have one."""

    def __init__(self, data: bytes, bounds: NDArray[np.int64], there: NDArray[np.bool_] | None = None) -> None:
        self.data, self.bounds = data, bounds
        self._order = None if there is None or there.all() else np.where(there, np.cumsum(there) - 1, -1)

    def __getitem__(self, row: int) -> bytes | None:
        row = row if self._order is None else int(self._order[row])
        if row < 0:
            return None
        begin, end = self.bounds[row].tolist()
        return self.data[begin:end]


def find_pages(opened: Any, file: Handle, group: int, column: str) -> Layout | None:
    """Return where the pages of a column lie; None where pyarrow is to read the group.

    Parameters
    ----------
    opened : pyarrow.parquet.ParquetFile
    file : Handle
        The same file.
    group : int
    column : str
        Its path, of bytes.

    Raises
    ------
    OSError
        The file cannot be read.

    References
    ----------
    Apache Parquet, "Data pages", "Encodings" and ``parquet.thrift``, version 2.
    """
    metadata = opened.metadata.row_group(group)
    names = [metadata.column(i).path_in_schema for i in range(metadata.num_columns)]
    if names.count(column) != 1:
        return None
    chunk, schema = metadata.column(names.index(column)), opened.schema.column(names.index(column))
    usual = chunk.physical_type == "BYTE_ARRAY" and not schema.max_repetition_level and not chunk.file_path
    if not usual or chunk.compression not in _CODECS or chunk.num_values != metadata.num_rows:
        return None
    begin = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
    end = begin + chunk.total_compressed_size
    if not 0 <= begin <= end <= file.size:
        return None
    try:
        pages, dictionary = _walk(file, begin, end, chunk.num_values)
    except (ValueError, IndexError, TypeError, KeyError):  # damaged, or another thing than is known here
        return None
    largest = max((page.size for page in (*pages, dictionary) if page is not None), default=0)
    if largest > chunk.total_uncompressed_size or (dictionary is None and any(page.numbers for page in pages)):
        return None
    return Layout(tuple(pages), dictionary, schema.max_definition_level, _CODECS[chunk.compression])


def _walk(file: Handle, at: int, end: int, count: int) -> tuple[list[_Page], _Page | None]:
    """Return the pages from byte `at`, `count` rows of them, and that of the dictionary."""
    pages: list[_Page] = []
    dictionary: _Page | None = None
    while count > 0:
        header, size = _header(file, at, end)
        kind, stored = header[1], header[3]
        at += size
        if stored < 0 or header[2] < 0 or at + stored > end:
            raise ValueError("a page that leads out of its group")
        if kind == _DICTIONARY and dictionary is None and not pages:
            if header[7][2] not in (*_PLAIN, *_BY_NUMBER):
                raise ValueError("a dictionary in another encoding")
            dictionary = _Page(at, stored, header[2], header[7][1], False, None, True)
        elif kind in (_DATA, _DATA_2):
            pages.append(_data_page(header, at))
            count -= pages[-1].count
        else:
            raise ValueError("a page of another kind")
        at += stored
    if count < 0 or any(page.count < 0 for page in pages):
        raise ValueError("pages of more rows than their group has")
    return pages, dictionary


def _data_page(header: Struct, at: int) -> _Page:
    first = header[1] == _DATA
    described = header[5 if first else 8]
    encoding = described[2 if first else 4]
    if encoding not in (*_PLAIN, *_BY_NUMBER) or (first and described[3] != 3):
        raise ValueError("another encoding")
    levels = None if first else described[5]
    if not first and (described[6] or not 0 <= described[5] <= min(header[2], header[3])):
        raise ValueError("levels that cannot be")
    compressed = first or described.get(7, True)
    return _Page(at, header[3], header[2], described[1], encoding in _BY_NUMBER, levels, compressed)


def _header(file: Handle, at: int, end: int) -> tuple[Struct, int]:
    for size in _HEADERS:
        data = file.read(at, min(size, end - at))
        try:
            return read_struct(data)
        except IndexError:
            continue
    raise ValueError("a header without an end")


def _bounds(data: bytes, at: int, count: int) -> NDArray[np.int64]:
    """Return where `count` values begin and end, each of which its length goes before. (count, 2) int64."""
    bounds = []
    for _ in range(count):
        begin = at + 4
        at = begin + int.from_bytes(data[at:begin], "little")
        if at > len(data):
            raise ValueError("a value that leads out of its page")
        bounds.append((begin, at))
    return np.array(bounds, np.int64).reshape(-1, 2)


def _hybrid(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """Return `count` numbers of `width` bits: runs of one number, and numbers bit by bit in eights."""
    found = np.zeros(count, np.int64)
    if width > 32:
        raise ValueError("numbers of more than 32 bits")
    begin = at = 0
    while begin < count:
        head, at = varint(data, at)
        if head & 1:
            size = (head >> 1) * width
            packed = np.frombuffer(data[at : at + size], np.uint8)
            bits = np.unpackbits(packed, bitorder="little")[: (count - begin) * width].reshape(-1, max(width, 1))
            some = bits @ (1 << np.arange(width, dtype=np.int64)) if width else np.zeros((head >> 1) * 8, np.int64)
            end = min(begin + (head >> 1) * 8, count)
        else:
            size = -(-width // 8)
            end = min(begin + (head >> 1), count)
            some = np.full(1, int.from_bytes(data[at : at + size], "little"))
        found[begin:end] = some[: end - begin]
        begin, at = end, at + size
        if at > len(data):
            raise ValueError("numbers that lead out of their page")
    return found
