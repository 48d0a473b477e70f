"""A place where images lie packed → what is in it, listed once and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from moodbench.datasets.image_files import counted
from moodbench.datasets.packed.members import Index, Member, Members
from moodbench.datasets.packed.places import Place
from moodbench.datasets.packed.storage import walk_address
from moodbench.datasets.packed.tables import Table, open_table
from moodbench.datasets.packed.tars import key_of, tar_members
from moodbench.datasets.packed.zips import zip_members
from moodbench.datasets.suffixes import NO_SUFFIX, image_suffixes, suffix_of
from moodbench.datasets.walking import is_junk, is_utf8
from moodbench.errors import DataError
from moodbench.names import leads_out
from moodbench.progress import bar

_READERS = {"tar": tar_members, "zip": zip_members}


@dataclass(frozen=True, eq=False)
class PackedInventory:
    """The images of a packed place, by name; an `Inventory`.

    Attributes
    ----------
    place : Place
    content : Members or Table
    """

    place: Place
    content: Members | Table

    @property
    def root(self) -> Path:
        """The place as it was written."""
        return Path(self.place.name)

    @property
    def kind(self) -> str:
        """What it is, for the beginning of a message."""
        return f"the folder '{self.place.inner}' of the archive" if self.place.inner else f"the {self.place.kind}"

    @cached_property
    def rows(self) -> dict[str, int]:
        """Name → row of `content`, of all that is visible; several shards in their order, one archive by name."""
        if isinstance(self.content, Table):
            return {name: row for row, name in enumerate(self.content.names)}
        found = dict(self._visible())
        return found if len(self.place.files) > 1 and self.place.kind != "folder" else dict(sorted(found.items()))

    def _visible(self) -> Iterator[tuple[str, int]]:
        assert isinstance(self.content, Members)
        prefix = f"{self.place.inner}/" if self.place.inner else ""
        for row, name in enumerate(self.content.names):
            if name.startswith(prefix) and not any(is_junk(part) for part in name[len(prefix) :].split("/")):
                yield name[len(prefix) :], row

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Name → label, of those that have one beside them: WebDataset's ``.cls``, a column of a table."""
        labels = self.content.number
        if not len(labels) or (labels == -1).all():
            return {}
        # what says something else than a number has no label, which the remarks count
        return {name: max(int(labels[row]), -1) for name, row in self.rows.items() if labels[row] != -1}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that a table gives its classes."""
        return self.content.columns.classes if isinstance(self.content, Table) else ()

    def check(self, include: Sequence[str]) -> None:
        """Raise `DataError` if there is nothing, or not all of `include`."""
        if self.place.inner and not self.rows:
            found = sorted({name.split("/", 1)[0] for name in self.content.names if "/" in name})
            raise DataError(
                f"the archive has no folder '{self.place.inner}'",
                file=self.root,
                fix=f"it has: {', '.join(found[:10])}" if found else "it has no folders: name the archive alone",
            )
        missing = sorted({*include} - {*self.folders()})
        if missing:
            one, many = "folder that the catalogue includes is", "folders that the catalogue includes are"
            raise DataError(
                counted(missing, one, many, "missing"),
                file=self.root,
                fix="complete the archive, or correct 'include' in the catalogue",
            )

    def scan(self, include: Sequence[str], left_out: Counter[str] | None = None) -> dict[str, int]:
        """Return name → bytes of all images, in order; by the suffix of their names."""
        if isinstance(self.content, Table):
            return dict.fromkeys(self.rows, 0)
        found = {}
        samples = {key_of(name) for name in self.numbers}
        beside = {".cls"} if samples else set()
        suffixes = image_suffixes()
        for name, row in self.rows.items():
            if include and name.split("/", 1)[0] not in include:
                continue
            suffix = suffix_of(name)
            if (
                (key := key_of(name)) in samples
                and name != f"{key}{suffix}"
                and any(f"{key}{other}" in self.rows for other in suffixes)
            ):
                suffix = name.removeprefix(key)  # another part of the sample: k.seg.png beside k.jpg
            if suffix in suffixes:
                found[name] = int(self.content.size[row])
            elif left_out is not None and suffix not in beside:
                left_out[suffix or NO_SUFFIX] += 1
        return found

    def size(self, name: str) -> int | None:
        """Return the bytes of a member (0 where a table does not say); None if there is none of that name."""
        row = self.rows.get(name)
        if row is None:
            return None
        return 0 if isinstance(self.content, Table) else int(self.content.size[row])

    def folders(self) -> tuple[str, ...]:
        """Return the first-level folders that hold anything, sorted."""
        return tuple(sorted({name.split("/", 1)[0] for name in self.rows if "/" in name}))

    def class_folders(self) -> tuple[str, ...]:
        """Return those that hold an image, sorted."""
        return tuple(sorted({name.split("/", 1)[0] for name in self.scan(()) if "/" in name}))


def list_packed(place: Place, data_dir: Path | None, progress: bool = False) -> PackedInventory:
    """List a packed place: an archive's members (from the kept index where it still fits), a table's rows.

    Parameters
    ----------
    place : Place
    data_dir : Path or None
        The index of an archive is kept below it.
    progress : bool
        Show on a terminal how far it is.

    Raises
    ------
    DataError
        It cannot be read, is damaged, or a name cannot be used.
    """
    if place.kind in ("parquet", "arrow"):
        return PackedInventory(place, open_table(place.files))
    if place.kind == "folder":
        return PackedInventory(place, _below_address(place.files[0]))
    index = Index(data_dir, place.files)
    members = index.load()
    if members is None:
        members = _unrepeated(Members.gathered(place.files, _read(place, progress)))
        index.keep(members)
    return PackedInventory(place, members)


def _read(place: Place, progress: bool) -> Iterator[tuple[int, Member]]:
    with bar(f"list {PurePosixPath(place.name).name}", len(place.files), shown=progress) as read:
        for shard, file in enumerate(place.files):
            for member in _READERS[place.kind](file):
                if not is_utf8(member.name):
                    shown = member.name.encode("utf-8", "surrogateescape")
                    raise DataError(f"the name of a member, {shown!r}, is not valid UTF-8", file=file, fix="rename it")
                if leads_out(member.name) or not member.name or "\0" in member.name:
                    what = f"the name of a member, {member.name[:200]!r}, leads out of the archive"
                    raise DataError(what, file=file, fix="pack the images with paths relative to their folder")
                yield shard, member
            read.update()


def _unrepeated(members: Members) -> Members:
    """Put the name of its shard before each member, if shards repeat names; within one the last counts, as unpacked."""
    several = len(members.files) > 1
    per_shard = dict(zip(zip(members.shard.tolist(), members.names, strict=True), range(len(members)), strict=True))
    keep = np.array(sorted(per_shard.values()), np.int64)
    names = [members.names[row] for row in keep]
    shards = members.shard[keep]
    if several and len({*names}) < len(names):
        stems = _stems(members.files)
        names = [f"{stems[shard]}/{name}" for shard, name in zip(shards.tolist(), names, strict=True)]
    columns = {
        key: getattr(members, key)[keep] for key in ("shard", "offset", "size", "stored", "how", "crc", "number")
    }
    return replace(members, names=tuple(names), **columns)


def _stems(files: Sequence[str]) -> list[str]:
    stems = [PurePosixPath(file).stem for file in files]
    if len({*stems}) < len(stems):
        raise DataError(
            "shards repeat the names of their members, and are called alike themselves",
            file=files[0],
            fix="name shards of one folder",
        )
    return stems


def _below_address(address: str) -> Members:
    found = sorted(walk_address(address))
    if not found:
        raise DataError("there is nothing at this address", file=address, fix="check the address")
    files = tuple(f"{address}/{name}" for name, _ in found)
    return Members.gathered(files, ((i, Member(name, 0, size, size)) for i, (name, size) in enumerate(found)))
