"""What a tar has in it: headers alone are read, and of WebDataset's ``.cls`` members the number."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import IO

from moodbench.datasets.packed.members import OF_TAR, UNREADABLE, Member, refuse_compressed
from moodbench.datasets.packed.storage import open_file
from moodbench.datasets.suffixes import image_suffixes, suffix_of
from moodbench.errors import DataError

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BLOCK = 512
_CLASS = ".cls"
_DIGITS = 32
"""Bytes of the largest file that may be a class number."""

_STEPS = 40
"""From link to link, at most, as Linux follows them."""

_NUMBER = re.compile(rb"\s*([0-9]{1,9})\s*")


class _Clipped(io.RawIOBase):
    """A file of which nobody can ask for more than there is: a damaged header may ask for any amount."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self._place = file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.size - self._place)
        size = left if size < 0 else min(size, left)
        self._file.seek(self._place)
        data = self._file.read(size)
        self._place += len(data)
        return data


def compression(head: bytes) -> str | None:
    """Return how a file is compressed whose first bytes these are; None if it is not."""
    return next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)


def tar_members(file: str) -> Iterator[Member]:
    """Yield the regular members of a tar in its order.

    Links within the archive stand for what they lead to.

    Raises
    ------
    DataError
        It cannot be read, is compressed, is no tar, ends too early or is damaged.
    """
    with open_file(file) as raw:
        stream = _Clipped(raw)
        how = compression(stream.read(8))
        if how is not None:
            raise refuse_compressed(file, how)
        stream.seek(0)
        try:
            tar = tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        except Exception as error:  # tarfile raises anything on damaged bytes
            raise _damaged(file, 0, error) from None
        yield from _walked(file, tar, stream)


def _walked(file: str, tar: tarfile.TarFile, stream: _Clipped) -> Iterator[Member]:
    found: dict[str, Member] = {}
    links: dict[str, str] = {}
    classes: dict[str, int] = {}
    while (info := _next(file, tar)) is not None:
        tar.members.clear()  # type: ignore[attr-defined] # a million of them would be kept
        name = _plain(info.name)
        if info.islnk() or info.issym():
            target = info.linkname if info.islnk() else posixpath.join(posixpath.dirname(name), info.linkname)
            links[name] = _plain(posixpath.normpath(target))
            found.pop(name, None)
        if not info.isreg() or info.islnk():
            continue
        links.pop(name, None)
        if info.issparse():
            raise DataError("a member of the tar is sparse, which cannot be read by its place", file=f"{file}/{name}")
        if info.offset_data + info.size > stream.size:
            raise _cut(file, name)
        if name.endswith(_CLASS) and info.size <= _DIGITS:
            classes[name.removesuffix(_CLASS)] = _number(stream, info)
        stream.seek(info.offset_data - _BLOCK)
        header = zlib.crc32(stream.read(_BLOCK))
        found[name] = Member(name, info.offset_data, info.size, info.size, OF_TAR, header)
    _check_end(file, tar, stream)
    for name in links:
        there = found.get(_end(name, links, file))
        if there is None and suffix_of(name) and suffix_of(name) not in image_suffixes():
            continue
        if there is None:
            raise DataError(
                f"a link in the tar leads to '{links[name]}', which is no file in it",
                file=f"{file}/{name}",
                fix="pack the images without links (tar --dereference), or without this one",
            )
        found[name] = replace(there, name=name)
    for name, member in found.items():
        yield replace(member, number=classes.get(key_of(name), -1)) if classes else member


def _end(name: str, links: Mapping[str, str], file: str) -> str:
    """Return what a link leads to at last, by way of other links."""
    for _ in range(_STEPS):
        if name not in links:
            return name
        name = links[name]
    raise DataError("links in the tar lead round and round", file=f"{file}/{name}", fix="pack the images without links")


def key_of(name: str) -> str:
    """Return what the members of one WebDataset sample share: all up to the first dot of the file name."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.split('.', 1)[0]}"


def _next(file: str, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except Exception as error:  # tarfile raises anything on damaged bytes
        if "unexpected end" in str(error):
            raise _cut(file) from None
        raise _damaged(file, tar.offset, error) from None


def _check_end(file: str, tar: tarfile.TarFile, stream: _Clipped) -> None:
    """See that the walk ended where the tar does: tarfile takes any damaged header for the end."""
    stream.seek(tar.offset)
    block = stream.read(_BLOCK)
    if len(block) < _BLOCK:
        raise _cut(file)
    if block.strip(b"\0"):
        raise _damaged(file, tar.offset, None)


def _number(stream: _Clipped, info: tarfile.TarInfo) -> int:
    """Return the number in a class file; `UNREADABLE` where it says something else."""
    stream.seek(info.offset_data)
    text = _NUMBER.fullmatch(stream.read(info.size))
    return UNREADABLE if text is None else int(text[1])


def _plain(name: str) -> str:
    while name.startswith("./"):
        name = name[2:]
    return name


def _cut(file: str, member: str = "") -> DataError:
    return DataError(
        f"the tar is cut off{f' within {member!r}' if member else ': its end is missing'}",
        file=file,
        fix="get an intact copy; one that was written without an end (1,024 zero bytes) needs them appended",
    )


def _damaged(file: str, place: int, error: Exception | None) -> DataError:
    why = f" ({error})" if error is not None and str(error) else ""
    what = "this is no tar" if place == 0 else f"the tar is damaged at byte {place}"
    return DataError(f"{what}{why}", file=file, fix="get an intact copy")
