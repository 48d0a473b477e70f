"""The members of an archive, one after another: tar and zip alike, and tars inside tars."""

from __future__ import annotations

import contextlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from moodbench.errors import DataError
from moodbench.obtain.unpack.kinds import AGAIN, HEAD, is_tar, kind_of, not_an_archive
from moodbench.obtain.unpack.names import hard_link_target, link_target, safe_name, shown
from moodbench.obtain.unpack.stream import CHUNK, Forward, damage, open_raw, tar_stream
from moodbench.progress import Bar, bar

Opener = Callable[[], io.BufferedReader]


@dataclass(frozen=True)
class Member:
    """A file of an archive, or a link in it. Of a tar it can be read only until the next one is asked for.

    Attributes
    ----------
    name : str
        A safe name: relative, without ``..``.
    size : int
        What the archive says; it may lie.
    archive : Path
        Where it is from, for errors.
    link : str
        The safe name of what it is a link to; empty: it is a file.
    symbolic : bool
        What it links to may come after it.
    open : callable
        Returns its content as a stream.
    """

    name: str
    size: int
    archive: Path
    open: Opener
    link: str = ""
    symbolic: bool = False

    @property
    def shown(self) -> str:
        """Its name as messages show it."""
        return shown(self.name)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content piece by piece.

        Raises
        ------
        DataError
            It is damaged, cut off, or a link.
        """
        if self.link:
            raise DataError(f"'{self.shown}' in the archive is a link, where a file should be", file=self.archive)
        length = 0
        with damage(self.archive), self.open() as stream:
            while chunk := stream.read(CHUNK):
                length += len(chunk)
                yield chunk
        if length != self.size:
            raise DataError(
                f"the archive is damaged: '{self.shown}' has {length} bytes, and should have {self.size}",
                file=self.archive,
                fix=AGAIN,
            )

    def read(self, limit: int) -> bytes:
        """Return the whole content, which must not be longer than `limit` bytes."""
        content = bytearray()
        for chunk in self.chunks():
            content += chunk
            if len(content) > limit:
                raise DataError(f"'{self.shown}' in the archive has more than {limit} bytes", file=self.archive)
        return bytes(content)


def members(archive: Path, *, progress: bool = False) -> Iterator[Member]:
    """Yield the files and links of a tar (plain, gzip, bzip2, xz, where Python can zstd) or zip, in its order.

    What kind it is says its content. Every name in it is checked, also of those that nobody wants.

    Parameters
    ----------
    archive : Path
    progress : bool
        Show a bar on stderr if that is a terminal.

    Raises
    ------
    DataError
        It is no archive, damaged or cut off; has a name or link that leads out of it, a device, or a password.
    """
    with open_raw(archive) as raw, damage(archive), _bar(archive, progress) as read:
        head = raw.read(HEAD)
        raw.seek(0)
        kind = kind_of(head)
        if kind is None:
            raise not_an_archive(archive, head)
        found = _zip_members(raw, archive) if kind == "zip" else _tar_members(tar_stream(raw, archive, kind), archive)
        for member in found:
            yield member
            read.update(max(0, raw.tell() - read.n))


def nested(member: Member) -> Iterator[Member]:
    """Yield the members of a tar that is itself a member, without unpacking it first. Nothing is kept in memory.

    Raises
    ------
    DataError
        As from `members`; it has to be a plain tar.
    """
    with damage(member.archive):
        yield from _tar_members(Forward(_checked_tar(member), member.archive), member.archive)


def _checked_tar(member: Member) -> BinaryIO:
    stream = None if member.link else member.open()
    if stream is None or not is_tar(stream.peek(HEAD)[:HEAD]):
        raise DataError(f"'{member.shown}' in the archive should be a tar, and is not", file=member.archive, fix=AGAIN)
    return stream


def _bar(archive: Path, progress: bool) -> Bar:
    return bar(archive.name, archive.stat().st_size, shown=progress, unit="B", unit_scale=True)


def _named(archive: Path, name: str) -> str:
    try:
        return safe_name(name)
    except ValueError as error:
        raise DataError(
            f"the archive was refused: it has a member whose name {error}: '{shown(name)}'", file=archive
        ) from None


def _link(archive: Path, opener: Opener, name: str, target: str, *, symbolic: bool) -> Member:
    try:
        link = link_target(name, target) if symbolic else hard_link_target(target)
    except ValueError as error:
        raise DataError(f"the archive was refused: its member '{shown(name)}' {error}", file=archive) from None
    return Member(name, 0, archive, opener, link, symbolic)


def _tar_members(stream: Forward, archive: Path) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # it keeps all of them, and there may be millions
            member = _tar_member(tar, info, archive)
            if member is not None:
                yield member
    _check_end(stream, archive)


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo, archive: Path) -> Member | None:
    name = _named(archive, info.name)
    if info.isdir():
        return None
    opener = cast(Opener, lambda: tar.extractfile(info))
    if not name or info.issparse() or not (info.isreg() or info.islnk() or info.issym()):
        raise _special(archive, name)
    if not info.isreg():
        return _link(archive, opener, name, info.linkname, symbolic=info.issym())
    return Member(name, info.size, archive, opener)


def _special(archive: Path, name: str) -> DataError:
    return DataError(
        f"the archive was refused: '{shown(name)}' is a device, a pipe or another thing that is no plain file",
        file=archive,
    )


def _check_end(stream: Forward, archive: Path) -> None:
    """Look at what follows the last member: `tarfile` stops in silence at damage, and reads no checksum after it."""
    if any(stream.last) or len(stream.last) < tarfile.BLOCKSIZE:
        what = "is damaged" if stream.last else "is cut off: its end mark is missing"
        raise DataError(f"the archive {what}", file=archive, fix=AGAIN)
    while block := stream.read(tarfile.BLOCKSIZE):
        if any(block) and is_tar(block):
            raise DataError("the archive goes on after its end mark: several tars in one file", file=archive)


def _zip_members(raw: BinaryIO, archive: Path) -> Iterator[Member]:
    with contextlib.closing(zipfile.ZipFile(raw)) as content:
        for info in content.infolist():
            member = _zip_member(content, info, archive)
            if member is not None:
                yield member


def _zip_member(content: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Path) -> Member | None:
    name = _named(archive, _zip_name(info))
    if info.is_dir():
        return None
    if info.flag_bits & 1:
        raise DataError(f"'{shown(name)}' in the archive is encrypted", file=archive)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFLNK) or not name:
        raise _special(archive, name)
    opener = cast(Opener, lambda: content.open(info))
    member = Member(name, info.file_size, archive, opener)
    if kind != stat.S_IFLNK:
        return member
    target = member.read(4096).decode("utf-8", "surrogateescape")
    return _link(archive, opener, name, target, symbolic=True)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return its name; programs that write UTF-8 without saying so are many."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename
