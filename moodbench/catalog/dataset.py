"""What the catalogue says about a dataset: where its images come from, which it takes, how they are labelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moodbench.catalog.attribute import Attribute, take_attributes
from moodbench.catalog.entry import Entry
from moodbench.names import file_fault, folder_fault, is_address, path_fault

LABEL_RULES = ("auto", "folder", "sorted", "natural", "index", "imagenet", "list", "none")
"""How an image gets its label; besides these, a FILE names the class folders in order, one a line.

``folder`` and ``sorted``: the index of its first-level folder among all that hold images, sorted by code points; where
natural order is another, ``folder`` says so. ``natural``: the same in natural order, 2 before 10, as timm sorts.
``index``: the number that its first-level folder is called. ``imagenet``: the index of the WordNet id in its path among
the 1000 of ImageNet-1k, sorted; or the number from 0 to 999 that its folder is called. ``list``: the number at the end
of its line. ``auto``: ``list`` where lines have numbers, else ``folder``."""


FEATURES_ONLY = "features only"
"""The source of a dataset of which the catalogue names no images: they are imported, or extracted from any folder."""


def label_rule(text: str) -> str | Path | None:
    """Return the rule that `text` names, or the file as it is written (``~`` too); None if it is neither."""
    if text in LABEL_RULES:
        return text
    return Path(text) if "/" in text or Path(text).suffix else None


@dataclass(frozen=True)
class ArchiveSpec:
    """A file that the publishers offer, and what of it belongs to the dataset.

    Attributes
    ----------
    file : str
        Name under which it is stored, and looked for in a folder that the user names.
    urls : tuple of str
        Mirrors, best first. None: a person has to fetch it.
    bytes : int or None
        Its size; None where it is not known.
    md5, sha256 : str or None
        In hex; None where nobody has published one.
    take : str
        Only what lies below this folder of the archive, without that part of the path. Empty: everything.
    into : str
        Sub-folder of the dataset's folder that it goes to.
    max_files, max_bytes : int
        An archive that unpacks to more is refused; `max_bytes` is also the disk space that is asked for.
    """

    file: str
    urls: tuple[str, ...]
    bytes: int | None
    md5: str | None
    sha256: str | None
    max_files: int
    max_bytes: int
    take: str = ""
    into: str = ""


@dataclass(frozen=True)
class ListSpec:
    """The file that says which images a dataset has, and in which order.

    Either `path` (a file of the user's) or `url` with digests (fetched into the data directory as `file`) is set.

    Attributes
    ----------
    file : str
        Name under which it is stored.
    path : Path or None
    url : str or None
    sha256, git_blob : str or None
        In hex, of the file with LF line ends; `git_blob` is the id that git gives it.
    lines : int or None
        How many images it names.
    column : str or None
        The file is a CSV, and this column holds the paths. None: a path per line, a number may follow.
    strip, add : str
        Prefix that is taken off every path, and one that is put before it afterwards.
    only : str
        Take the lines alone whose path begins so (before `strip`). Empty: all.
    where : tuple of Attribute
        Take the lines alone of which all this holds, by the other columns of a CSV. Empty: all.
    match : {"path", "name"}
        ``name``: the file name alone says which image is meant, in whatever folder it lies.
    numbers : tuple of int
        Take the lines alone that end in one of these numbers, and count these from 0 in this order: the classes of a
        split. In such a list a comma may stand before the number. Empty: all lines, numbers as they are.
    """

    file: str
    path: Path | None = None
    url: str | None = None
    sha256: str | None = None
    git_blob: str | None = None
    lines: int | None = None
    column: str | None = None
    strip: str = ""
    add: str = ""
    only: str = ""
    where: tuple[Attribute, ...] = ()
    match: str = "path"
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class DatasetSpec:
    """A named set of images. It has no role of its own: benchmarks give it one.

    Attributes
    ----------
    name, title : str
    role : str or None
        In words: what it is used for.
    path, folder : Path, str or None
        Where its images lie: anywhere, or below the data directory. Neither: bundled, or features only.
        A part (`part_of`) has the folder of the whole, plus `within`.
    address : str or None
        Where its images lie that are not on this disk: ``s3://bucket/train.tar`` (`path` with a scheme).
    bundled : str or None
        The images come with an installed package.
    generated : str or None
        Name of the recipe that draws them.
    archives : tuple of ArchiveSpec
        All of them are needed. With addresses they are downloaded, without a person has to fetch them.
    layout : str
        How the content of the archives becomes image files; a name in `moodbench.obtain.layouts`.
    per_image : str or None
        Address of a single image with ``{name}`` in place of the path that the list gives.
    part_of : str or None
        The dataset whose files these are; it is what gets downloaded.
    within : str
        Sub-folder of that dataset.
    image_list : ListSpec or None
        Which images, in which order. None: all, sorted by path.
    include : tuple of str
        The first-level folders that count; empty: all.
    labels : str or Path
        One of `LABEL_RULES`, or the file that names the class folders in order.
    images : int or None
        How many there should be.
    steps : tuple of str
        What a person has to do where a program may not.
    problems : tuple of str
        What is known to be wrong with it.
    """

    name: str
    title: str
    role: str | None = None
    path: Path | None = None
    address: str | None = None
    folder: str | None = None
    bundled: str | None = None
    generated: str | None = None
    archives: tuple[ArchiveSpec, ...] = ()
    layout: str = "archive"
    per_image: str | None = None
    part_of: str | None = None
    within: str = ""
    image_list: ListSpec | None = None
    include: tuple[str, ...] = ()
    labels: str | Path = "auto"
    images: int | None = None
    homepage: str | None = None
    paper: str | None = None
    licence: str | None = None
    steps: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """In a word or two: where the images come from."""
        if self.part_of is not None:
            return f"part of {self.part_of}"
        if self.bundled is not None:
            return "bundled"
        if self.generated is not None:
            return "generated"
        if self.per_image is not None:
            return "image by image"
        if self.archives:
            return "download" if all(archive.urls for archive in self.archives) else "by hand"
        if self.address is not None:
            return "elsewhere"
        if self.path is not None or self.folder is not None:
            return "by hand" if self.steps else "folder"
        return FEATURES_ONLY


def build_dataset(name: str, entry: Entry) -> DatasetSpec:
    """Check the keys of a dataset's entry."""
    spec = DatasetSpec(
        name=name,
        title=entry.take("title", str),
        role=entry.text("role"),
        **_path_or_address(entry),
        folder=_below(entry, "folder", folder_fault),
        bundled=entry.text("bundled"),
        generated=entry.text("generated"),
        archives=_archives(entry),
        layout=entry.take("layout", str, "archive"),
        per_image=entry.text("per_image"),
        part_of=entry.text("part_of"),
        within=_below(entry, "within") or "",
        image_list=_list(entry),
        include=entry.strings("include"),
        labels=_labels(entry),
        images=entry.number("images", None),
        homepage=entry.text("homepage"),
        paper=entry.text("paper"),
        licence=entry.text("licence"),
        steps=entry.strings("steps"),
        problems=entry.strings("problems"),
    )
    if spec.per_image is not None:
        _check_urls(entry, (spec.per_image,))
    _check(spec, entry)
    return spec


def _path_or_address(entry: Entry) -> dict[str, Any]:
    text = entry.text("path")
    if text is not None and is_address(text):
        return {"address": text}
    return {"path": None if text is None else entry.beside(text)}


def _labels(entry: Entry) -> str | Path:
    text: str = entry.take("labels", str, "auto")
    rule = label_rule(text)
    if rule is None:
        raise entry.error(
            f"has labels: '{text}'",
            fix=f"use one of: {', '.join(LABEL_RULES)}; or a file with a class folder a line, as classes.txt",
        )
    return entry.beside(text) if isinstance(rule, Path) else rule


def _check(spec: DatasetSpec, entry: Entry) -> None:
    places = {
        "path": spec.path or spec.address,
        "folder": spec.folder,
        "bundled": spec.bundled,
        "part_of": spec.part_of,
    }
    said = [key for key, value in places.items() if value is not None]
    if len(said) > 1:
        raise entry.error(f"has more than one of {_joined(said)}")
    sources = {"generated": spec.generated, "archives": spec.archives or None, "per_image": spec.per_image}
    made = [key for key, value in sources.items() if value is not None]
    if len(made) > 1:
        raise entry.error(f"has more than one of {_joined(made)}")
    if made and spec.folder is None:
        raise entry.error(f"has '{made[0]}', but no 'folder' that it goes to")
    if spec.within and spec.part_of is None:
        raise entry.error("has 'within', but no 'part_of'")
    if spec.per_image is not None and ("{name}" not in spec.per_image or spec.image_list is None):
        raise entry.error("has 'per_image', which needs a 'list' of the images and {name} in the address")
    if spec.labels == "list" and spec.image_list is None:
        raise entry.error("has labels: list, but no 'list'")
    twice = {a.file for a in spec.archives if [b.file for b in spec.archives].count(a.file) > 1}
    if twice:
        raise entry.error(f"has two archives with the same file name {_joined(sorted(twice))}")


def _joined(keys: list[str]) -> str:
    return " and ".join(f"'{key}'" for key in keys)


def _below(entry: Entry, key: str, fault: Callable[[str], str | None] = path_fault) -> str | None:
    value = entry.text(key)
    wrong = None if value is None else fault(value)
    if wrong is not None:
        raise entry.error(f"has {key}: '{value}', which {wrong}: it should be a relative path without '..'")
    return value


def _bare(entry: Entry, file: str) -> str:
    fault = file_fault(file)
    if fault is not None:
        raise entry.error(f"has file: '{file}', which {fault}: it should be a bare file name")
    return file


def _archives(entry: Entry) -> tuple[ArchiveSpec, ...]:
    values = entry.take("archives", list, [])
    return tuple(
        _archive(Entry(entry.kind, f"{entry.name}: archive {i}", v, entry.file)) for i, v in enumerate(values, start=1)
    )


def _archive(entry: Entry) -> ArchiveSpec:
    spec = ArchiveSpec(
        file=_bare(entry, entry.take("file", str)),
        urls=entry.strings("urls"),
        bytes=entry.size("bytes"),
        md5=entry.digest("md5"),
        sha256=entry.digest("sha256"),
        max_files=entry.number("max_files"),
        max_bytes=entry.size("max_bytes") or 0,
        take=(_below(entry, "take") or "").rstrip("/"),
        into=(_below(entry, "into") or "").rstrip("/"),
    )
    if not spec.max_bytes:
        raise entry.error("has max_bytes: unknown, but a limit must be a number")
    _check_urls(entry, spec.urls)
    entry.finish()
    return spec


def _list(entry: Entry) -> ListSpec | None:
    value = entry.take("list", (str, dict), None)
    if value is None:
        return None
    if isinstance(value, str):
        path = entry.beside(value)
        return ListSpec(path.name, path)
    own = Entry(entry.kind, f"{entry.name}: list", value, entry.file)
    path_, url = own.path("path"), own.text("url")
    if (path_ is None) == (url is None):
        raise own.error("needs either 'path' or 'url'")
    spec = ListSpec(
        file=_bare(own, own.take("file", str, (url or str(path_)).rsplit("/", 1)[-1])),
        path=path_,
        url=url,
        sha256=own.digest("sha256", None if path_ else "unknown"),
        git_blob=own.digest("git_blob", None),
        lines=own.number("lines", None),
        column=own.text("column"),
        strip=own.take("strip", str, ""),
        add=own.take("add", str, ""),
        only=own.take("only", str, ""),
        where=take_attributes(own),
        match=own.choice("match", ("path", "name"), "path"),
        numbers=_numbers(own),
    )
    if url is not None:
        _check_urls(own, (url,))
    if spec.where and spec.column is None:
        raise own.error(
            "has 'where', but no 'column' of paths: only a CSV has columns", fix="name the column of the paths"
        )
    if spec.numbers and spec.column is not None:
        raise own.error("has 'numbers', which end lines of plain text, and a 'column' of a CSV", fix="use 'where'")
    own.finish()
    return spec


def _numbers(entry: Entry) -> tuple[int, ...]:
    there = entry.has("numbers")
    values = entry.take("numbers", list, [])
    if there and not values:
        raise entry.error("has empty 'numbers'", fix="leave them out to take every line, or write  numbers: [0, 3, 4]")
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in values)
    if not whole or len(set(values)) < len(values):
        raise entry.error("has 'numbers' that are not classes, each once", fix="write  numbers: [0, 3, 4]")
    return tuple(values)


def _check_urls(entry: Entry, urls: tuple[str, ...]) -> None:
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise entry.error(f"has the address '{url}'", fix="addresses begin with https:// or http://")
        try:
            parts = urlsplit(url)
            fault = None if parts.hostname and parts.port != 0 else "it names no host"
        except ValueError as error:
            fault = str(error)
        if fault is not None:
            raise entry.error(f"has the address '{url}': {fault}")
