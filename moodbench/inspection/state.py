"""In what state a dataset is on this disk, from notes and names alone: no image is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from moodbench.catalog import FEATURES_ONLY, Catalog, DatasetSpec
from moodbench.datasets.images import is_on_disk
from moodbench.datasets.lists import list_file
from moodbench.errors import DataError
from moodbench.inspection.manifest import NOTES, Origin, read_origin
from moodbench.inspection.verdicts import Verdict, read_verdicts


@dataclass(frozen=True)
class DiskState:
    """What is known about a dataset without looking at its images.

    Attributes
    ----------
    word : str
        ``bundled``, ``no images`` (features only), ``missing``, ``by hand`` (missing, and a person has to get
        it), ``partly downloaded``, ``list missing``, ``there``, ``verified``, ``deep verified`` or ``faulty``.
    since : str or None
        When the verification was made that says so, ISO 8601.
    images, bytes : int or None
        On this disk, as the last verification or the origin says.
    origin : Origin or None
        Of the dataset, or of what it is a part of.
    list : str or None
        ``there`` or ``missing``; None: it needs none.
    findings : mapping
        Kind → how many, of that verification.
    problem : str or None
        What is wrong with the notes.
    """

    word: str
    since: str | None = None
    images: int | None = None
    bytes: int | None = None
    origin: Origin | None = None
    list: str | None = None
    findings: Mapping[str, int] | None = None
    problem: str | None = None

    @property
    def text(self) -> str:
        """The state with its day, for people."""
        return self.word if self.since is None else f"{self.word} {self.since[:10]}"


def disk_state(spec: DatasetSpec, catalog: Catalog, data_dir: Path) -> DiskState:
    """Return the state of a dataset of the catalogue."""
    if spec.bundled is not None:
        return DiskState("bundled", images=spec.images)
    image_list = None
    if spec.image_list is not None:
        image_list = "there" if list_file(spec.image_list, data_dir).is_file() else "missing"
    if not is_on_disk(spec, data_dir):
        return DiskState(_absent(spec, catalog, data_dir), list=image_list)
    problem = None
    origin: Origin | None = None
    notes: dict[str, Verdict] = {}
    try:
        origin = _origin(spec, catalog, data_dir)
        notes = read_verdicts(data_dir, spec.name)
    except DataError as error:
        problem = error.what
    valid = {kind: note for kind, note in notes.items() if not _outdated(note, origin)}
    word, note = _judge(valid)
    own = origin if origin is not None and origin.dataset == spec.name else None
    return DiskState(
        word,
        since=None if note is None else note.time,
        images=note.images if note is not None else None if own is None or spec.image_list else own.images,
        bytes=note.bytes if note is not None else None if own is None else own.bytes,
        origin=origin,
        list=image_list,
        findings=None if note is None else note.findings,
        problem=problem,
    )


def _absent(spec: DatasetSpec, catalog: Catalog, data_dir: Path) -> str:
    whole = catalog.whole_of(spec)
    notes = Path(data_dir) / NOTES
    begun = [notes / "partial" / whole.name]
    for archive in whole.archives:
        begun += [notes / "archives" / archive.file, notes / "archives" / f"{archive.file}.part"]
    if any(path.exists() for path in begun):
        return "partly downloaded"
    if whole.source == FEATURES_ONLY:
        return "no images"
    folder_alone = is_on_disk(replace(spec, image_list=None), data_dir)
    return "list missing" if folder_alone else "by hand" if whole.source == "by hand" else "missing"


def _origin(spec: DatasetSpec, catalog: Catalog, data_dir: Path) -> Origin | None:
    origin = read_origin(data_dir, spec.name)
    while origin is None and spec.part_of is not None:
        spec = catalog.dataset(spec.part_of)
        origin = read_origin(data_dir, spec.name)
    return origin


def _outdated(note: Verdict, origin: Origin | None) -> bool:
    """Whether the images came after they were verified: those were others."""
    return origin is not None and _moment(origin.time) > _moment(note.time)


def _moment(time: str) -> datetime:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _judge(notes: Mapping[str, Verdict]) -> tuple[str, Verdict | None]:
    """Return what the verifications say together: a fault that a deep one found stays until the next deep one."""
    quick, deep = notes.get("quick"), notes.get("deep")
    for note in (quick, deep):
        if note is not None and not note.ok:
            return "faulty", note
    if deep is not None:
        return "deep verified", deep
    return ("there", None) if quick is None else ("verified", quick)
