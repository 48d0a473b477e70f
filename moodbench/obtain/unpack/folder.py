"""Writing the members of archives below a folder, within limits that count what really comes out."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import DataError
from moodbench.obtain.unpack.members import Member, members
from moodbench.obtain.unpack.names import below, is_hidden, shown
from moodbench.obtain.unpack.stream import CHUNK


@dataclass(frozen=True)
class Tally:
    """Files, and their size together."""

    files: int
    bytes: int


class Budget:
    """Counts what comes out of an archive, and stops it at `max_files` or `max_bytes`."""

    def __init__(self, archive: Path, max_files: int, max_bytes: int) -> None:
        self.archive, self.max_files, self.max_bytes = archive, max_files, max_bytes
        self.files = self.bytes = 0

    def add_file(self) -> None:
        """Count a file, before it is written."""
        self.files += 1
        if self.files > self.max_files:
            raise self._exceeded(f"{self.max_files} files", "max_files")

    def add_bytes(self, number: int) -> None:
        """Count a part of its content, before it is written."""
        self.bytes += number
        if self.bytes > self.max_bytes:
            raise self._exceeded(f"{self.max_bytes} bytes", "max_bytes")

    def _exceeded(self, what: str, key: str) -> DataError:
        return DataError(
            f"the archive was refused: it unpacks to more than {what}",
            file=self.archive,
            fix=f"if it should be so large, raise {key} in its catalogue entry",
        )


class Folder:
    """A folder that is being filled.

    A name that comes twice is harmless with the same content, and an error with another; so are two names that the
    file system holds for one (``a.jpg`` and ``A.JPG`` on some). Links become copies of the file they lead to.

    Parameters
    ----------
    root : Path
        Created when the first file is written.
    budget : Budget

    Attributes
    ----------
    files, bytes : int
        Written so far.
    """

    def __init__(self, root: Path, budget: Budget) -> None:
        self.root, self.budget = root, budget
        self.files = self.bytes = 0
        self._later: list[tuple[str, str]] = []

    def add(self, member: Member, name: str, link: str | None = None) -> None:
        """Write a member as `name` (a safe name); or what it links to, which is called `link` here."""
        self.budget.add_file()
        if not member.link:
            self.write(name, member.chunks())
        elif link is None:
            raise self._dangling(name, member.link)
        elif member.symbolic:
            self._later.append((name, link))
        else:
            self._copy(name, link)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file. It is not counted as one (see `add`), its bytes are."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                stream = path.open("xb")
            except FileExistsError:
                self._compare(path, name, chunks)
                return
            with stream:
                for chunk in chunks:
                    self.budget.add_bytes(len(chunk))
                    self.bytes += stream.write(chunk)
            self.files += 1
        except OSError as error:
            raise self._unwritable(path, name, error) from None

    def write_links(self) -> None:
        """Write the copies that symbolic links stand for; to be called at the end."""
        waiting, self._later = self._later, []
        while waiting:
            ready = [(name, link) for name, link in waiting if (self.root / link).is_file()]
            if not ready:
                raise self._dangling(*waiting[0])
            for name, link in ready:
                self._copy(name, link)
            done = set(ready)
            waiting = [pair for pair in waiting if pair not in done]

    def _copy(self, name: str, link: str) -> None:
        source = self.root / link
        if not source.is_file():
            raise self._dangling(name, link)
        self.write(name, _chunks(source))

    def _compare(self, path: Path, name: str, chunks: Iterable[bytes]) -> None:
        same = True
        with path.open("rb") as there:  # a folder cannot be opened
            for chunk in chunks:
                self.budget.add_bytes(len(chunk))
                same = same and there.read(len(chunk)) == chunk
            same = same and not there.read(1)
        if not same:
            raise DataError(
                f"two members of the archive have the name '{shown(name)}', or names that are the same on this file "
                "system, and differ",
                file=self.budget.archive,
            )

    def _dangling(self, name: str, link: str) -> DataError:
        return DataError(
            f"'{shown(name)}' in the archive is a link to '{shown(link)}', and no such file was unpacked",
            file=self.budget.archive,
        )

    def _unwritable(self, path: Path, name: str, error: OSError) -> DataError:
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            return DataError(
                f"'{shown(name)}' in the archive is both a file and a folder",
                file=self.budget.archive,
            )
        fix = "make room on that disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        return DataError(f"'{shown(name)}' cannot be written: {error.strerror}", file=path.parent, fix=fix)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def unpack(
    archive: Path, target: Path, *, take: str = "", max_files: int, max_bytes: int, progress: bool = False
) -> Tally:
    """Unpack an archive into a folder that does not exist yet or is empty.

    Hidden files are left out. Files get the permissions of any new file. If this raises, what is in `target` is worth
    nothing; the caller removes it.

    Parameters
    ----------
    archive : Path
        Tar (plain, gzip, bzip2, xz, where Python can zstd) or zip, whatever its name says.
    target : Path
    take : str
        Only what lies below this folder of the archive, without that part of the path. Empty: everything.
    max_files, max_bytes : int
        What it may unpack to; counted while it is unpacked.
    progress : bool
        Show a bar on stderr if that is a terminal.

    Raises
    ------
    DataError
        It is no archive, damaged, cut off, malicious, larger than allowed, or nothing in it lies below `take`; the
        target is not empty or cannot be written.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise DataError("archives are unpacked into empty folders only, and something is there", file=target)
    target.mkdir(parents=True, exist_ok=True)
    folder = Folder(target, Budget(archive, max_files, max_bytes))
    unpack_into(archive, folder, take=take, progress=progress)
    return Tally(folder.files, folder.bytes)


def unpack_into(archive: Path, folder: Folder, *, take: str = "", progress: bool = False) -> None:
    """Unpack an archive into a folder that may hold something already; otherwise as `unpack`."""
    take = take.strip("/")
    found: dict[str, None] = {}
    before = folder.budget.files
    for member in members(archive, progress=progress):
        if len(found) < 10:
            found.setdefault(member.name.partition("/")[0])
        name = below(member.name, take)
        if name is not None and not is_hidden(name):
            folder.add(member, name, below(member.link, take))
    folder.write_links()
    if folder.budget.files == before:
        raise _nothing(archive, take, list(found))


def _nothing(archive: Path, take: str, found: list[str]) -> DataError:
    if not found:
        return DataError("there is no file in the archive", file=archive)
    listing = ", ".join(f"'{shown(name)}'" for name in found)
    where = f"below '{take}' " if take else ""
    return DataError(f"there is no file {where}in the archive; at its top are {listing}", file=archive)
