"""List files: which images a dataset has, and in which order.

A list is either plain text, one path per line that a number may follow, or a CSV file with a column of paths. Those
that were fetched lie in ``<data-dir>/lists/`` and are compared with the catalogue whenever they are read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.catalog import ListSpec
from moodbench.errors import DataError
from moodbench.names import leads_out
from moodbench.reading import read_bytes

FOLDER = "lists"
"""Folder of the fetched lists, below the data directory."""

_LABEL_AT_END = re.compile(r"^(?P<path>.*\S)\s+(?P<label>-?\d{1,4000})$", re.DOTALL)


@dataclass(frozen=True)
class ListEntry:
    """One image of a list.

    Attributes
    ----------
    line : int
        Number of the line, from 1.
    readings : tuple of (path, label or None)
        What the line may mean, likeliest first: a number at its end could belong to the name, and blanks around it
        too. Paths are relative to the dataset's folder.
    """

    line: int
    readings: tuple[tuple[str, int | None], ...]

    @property
    def path(self) -> str:
        """The path of the likeliest reading."""
        return self.readings[0][0]


@dataclass(frozen=True)
class ImageList:
    """The images that a list names, in its order.

    Attributes
    ----------
    file : Path
    by_name : bool
        Paths are bare file names; the folder is to be found out.
    images : tuple of ListEntry
    """

    file: Path
    by_name: bool
    images: tuple[ListEntry, ...]


def list_file(spec: ListSpec, data_dir: Path) -> Path:
    """Return where a list lies, or will lie when it is fetched."""
    return spec.path if spec.path is not None else Path(data_dir) / FOLDER / spec.file


def read_list(spec: ListSpec, file: Path, *, include: Sequence[str] = (), fix: str | None = None) -> ImageList:
    """Read a list, compare it with the catalogue, and apply its prefixes.

    Parameters
    ----------
    spec : ListSpec
    file : Path
        See `list_file`.
    include : sequence of str
        Leave out images whose first-level folder is not one of these. Empty: keep all. Bare names are all kept.
    fix : str, optional
        How to get the right list.

    Raises
    ------
    DataError
        The file is missing or unreadable, not the one that the catalogue means, has a line that does not fit, or names
        no image.
    """
    fix_path = fix or "correct its path"
    content = read_bytes(file, "the image list", DataError, missing="is not on this disk", fix=fix_path)
    check_list(spec, content, file, fix=fix)
    placed = (listed for row in _rows(spec, content, file) if (listed := _place(spec, *row, file)) is not None)
    every = not include or spec.match == "name"
    images = tuple(item for item in placed if every or item.path.split("/", 1)[0] in include)
    if not images:
        chosen = f" below '{spec.only}'" if spec.only else ""
        raise DataError(f"the image list names no images{chosen}", file=file)
    return ImageList(file, spec.match == "name", images)


def check_list(spec: ListSpec, content: bytes, file: Path, *, fix: str | None = None) -> None:
    """Compare the bytes of a list with digests and number of lines in the catalogue.

    Line ends do not count: digests are those of the content with LF. `ListSpec.lines` is the number of images in the
    whole file, before `only`; empty lines and the head of a CSV file are none.

    Raises
    ------
    DataError
        Something differs; the message names what was found and what was expected.
    """
    normal = content.replace(b"\r\n", b"\n")
    found = {
        "sha256": hashlib.sha256(normal).hexdigest(),
        "git_blob": hashlib.sha1(b"blob %d\0" % len(normal) + normal, usedforsecurity=False).hexdigest(),
    }
    for kind, digest in found.items():
        expected = getattr(spec, kind)
        if expected not in (None, digest):
            raise DataError(
                f"the image list is not the one that the catalogue means: its {kind} is {digest}, expected {expected}",
                file=file,
                fix=fix or "correct the list, or the digest in the catalogue",
            )
    if spec.lines is not None and (lines := sum(1 for _ in _rows(spec, content, file))) != spec.lines:
        raise DataError(
            f"the image list names {lines} images; the catalogue expects {spec.lines}",
            file=file,
            fix=fix or "correct the list, or 'lines' in the catalogue",
        )


def _rows(spec: ListSpec, content: bytes, file: Path) -> Iterator[tuple[int, str]]:
    """Yield (number of the line, text) of all that is not blank."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the image list is not UTF-8 text: {error}", file=file) from None
    if spec.column is not None:
        yield from _column(spec.column, text, file)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def _column(column: str, text: str, file: Path) -> Iterator[tuple[int, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
        if column not in names:
            raise DataError(
                f"the image list has no column '{column}', but {', '.join(map(repr, names)) or 'nothing'}", file=file
            )
        for row in reader:
            if not row[column]:
                raise DataError(f"line {reader.line_num} of the image list has no '{column}'", file=file)
            yield reader.line_num, row[column]
    except csv.Error as error:
        raise DataError(f"the image list is not valid CSV: line {reader.line_num}: {error}", file=file) from None


def _place(spec: ListSpec, line: int, text: str, file: Path) -> ListEntry | None:
    """Apply `only`, `strip` and `add`; return None for a line that `only` leaves out."""
    chosen = [(path, label) for path, label in _readings(spec, text) if path.startswith(spec.only)]
    if not chosen:
        return None
    below = [(path.removeprefix(spec.strip), label) for path, label in chosen if path.startswith(spec.strip)]
    if not below:
        raise DataError(
            f"line {line} of the image list is not below '{spec.strip}': '{chosen[0][0]}'",
            file=file,
            fix="correct 'strip' in the catalogue, or leave such lines out with 'only'",
        )
    added = tuple((_normal(spec, spec.add + path), label) for path, label in below)
    for path, label in added:
        if leads_out(path) or not path:
            raise DataError(f"line {line} leads out of the dataset's folder: '{path}'", file=file)
        if label is not None and not -(2**63) <= label < 2**63:
            raise DataError(
                f"line {line}: the label {str(label)[:24]}… does not fit into 64 bits",
                file=file,
                fix="correct the list",
            )
    return ListEntry(line, added)


def _readings(spec: ListSpec, text: str) -> Iterable[tuple[str, int | None]]:
    if spec.column is not None:
        return [(text, None)]
    bare = text.strip()
    match = _LABEL_AT_END.match(bare)
    labelled: list[tuple[str, int | None]] = [] if match is None else [(match["path"], int(match["label"]))]
    return dict.fromkeys([*labelled, (bare, None), (text, None)])


def _normal(spec: ListSpec, path: str) -> str:
    return path.rsplit("/", 1)[-1] if spec.match == "name" else path.removeprefix("./")
