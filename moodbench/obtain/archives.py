"""Archives: fetched into the data directory or taken from where the user has them, and checked once.

    data/.moodbench/archives/<file>        while it is needed
    data/.moodbench/archives/<file>.json   its size, time and SHA-256 when it was found right

As long as size and time of a file are those of its note, it is neither read nor fetched again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbench.catalog import ArchiveSpec
from moodbench.inspection.manifest import NOTES, write_note
from moodbench.reading import parse_json
from moodbench.transfer.contact import shown
from moodbench.transfer.expected import Expectation, check_file
from moodbench.transfer.http import fetch
from moodbench.transfer.meter import Meter
from moodbench.types import Report


@dataclass(frozen=True)
class CheckedArchive:
    """An archive on this disk that was checked.

    Attributes
    ----------
    spec : ArchiveSpec
    file : Path
    source : str
        Address it came from, or path.
    bytes : int
    sha256 : str
    known : bool
        The catalogue had a digest to compare with.
    """

    spec: ArchiveSpec
    file: Path
    source: str
    bytes: int
    sha256: str
    known: bool

    @property
    def record(self) -> dict[str, Any]:
        """What the origin of a dataset says about it."""
        return {
            "file": self.spec.file,
            "source": self.source,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "known": self.known,
        }


def archive_file(data_dir: Path, archive: ArchiveSpec) -> Path:
    """Where an archive lies while it is needed."""
    return data_dir / NOTES / "archives" / archive.file


def expected(archive: ArchiveSpec) -> Expectation:
    """What is known about the file."""
    return Expectation(bytes=archive.bytes, md5=archive.md5, sha256=archive.sha256)


def begun(data_dir: Path, archive: ArchiveSpec) -> int:
    """Return how many bytes of an archive are on this disk already, whole or in part."""
    file = archive_file(data_dir, archive)
    for candidate in (file, file.with_name(f"{file.name}.part")):
        try:
            return candidate.stat().st_size
        except FileNotFoundError:
            continue
    return 0


def fetch_archive(
    archive: ArchiveSpec, data_dir: Path, dataset: str, *, meter: Meter, report: Report
) -> CheckedArchive:
    """Return the archive, fetched if it is not here yet.

    Raises
    ------
    DownloadError
        No mirror has it, or what came has another size or digest.
    """
    file = archive_file(data_dir, archive)
    found = _remembered(archive, file)
    if found is None:
        _clear_the_way(archive, file)
        fetched = fetch(
            archive.urls,
            file,
            expected=expected(archive),
            meter=meter,
            report=report,
            fix=f"fetch it by hand, and then: moodbench download {dataset} --from FILE",
        )
        found = CheckedArchive(
            archive, file, fetched.url or shown(archive.urls[0]), fetched.bytes, fetched.sha256, fetched.checked
        )
        _remember(found)
    if not found.known:
        report(f"no digest is published for {archive.file}; recorded sha256 {found.sha256}")
    return found


def check_local(archive: ArchiveSpec, file: Path, *, report: Report) -> CheckedArchive:
    """Return an archive that the user has, checked. It is read and never changed.

    Raises
    ------
    DownloadError
        It has another size or digest than the catalogue says.
    """
    wanted = expected(archive)
    digests = check_file(file, wanted, origin=str(file.parent))
    found = CheckedArchive(archive, file, str(file.absolute()), file.stat().st_size, digests["sha256"], wanted.known)
    if not found.known:
        report(f"no digest is published for {archive.file}; recorded sha256 {found.sha256}")
    return found


def release(data_dir: Path, archive: ArchiveSpec) -> None:
    """Remove an archive that is not needed any more."""
    file = archive_file(data_dir, archive)
    for leftover in (_note(file), file):
        leftover.unlink(missing_ok=True)


def set_aside(file: Path) -> Path:
    """Give a file that is not right a name under which nobody takes it for the archive, and return that."""
    _note(file).unlink(missing_ok=True)
    aside = file.with_name(f"{file.name}.wrong")
    if file.is_file():
        file.replace(aside)
    return aside


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _remember(found: CheckedArchive) -> None:
    state = found.file.stat()
    values = {**found.record, "mtime_ns": state.st_mtime_ns, "expected": _identity(found.spec)}
    write_note(_note(found.file), values)


def _remembered(archive: ArchiveSpec, file: Path) -> CheckedArchive | None:
    """Return the archive if its note says that this very file was found right."""
    try:
        values: Mapping[str, Any] = parse_json(_note(file).read_text(encoding="utf-8"))
        state = file.stat()
        same = (values["bytes"], values["mtime_ns"]) == (state.st_size, state.st_mtime_ns)
        # without a digest, a file of the same name from elsewhere may be another dataset's
        meant = values["known"] or values["source"] in {shown(url) for url in archive.urls}
        if not same or not meant or values["expected"] != _identity(archive):
            return None
        return CheckedArchive(archive, file, values["source"], values["bytes"], values["sha256"], values["known"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clear_the_way(archive: ArchiveSpec, file: Path) -> None:
    """Put a file aside that is another dataset's of the same name, which no digest would tell."""
    if _note(file).is_file() and not expected(archive).known:
        set_aside(file)
    _note(file).unlink(missing_ok=True)


def _identity(archive: ArchiveSpec) -> dict[str, Any]:
    return {"bytes": archive.bytes, "md5": archive.md5, "sha256": archive.sha256}
