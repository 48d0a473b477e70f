"""List files: which images a dataset has, and in which order.

A list is either plain text, one path per line that a number may follow, or a CSV file with a column of paths. Those
that were fetched lie in ``<data-dir>/lists/`` and are compared with the catalogue whenever they are read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.catalog import ListSpec
from moodbench.catalog.attribute import Attribute
from moodbench.errors import DataError
from moodbench.names import leads_out
from moodbench.reading import read_bytes
from moodbench.sizes import many

FOLDER = "lists"
"""Folder of the fetched lists, below the data directory."""

MOST_VALUES = 8
"""Values of a column that a message names."""

_LABEL_AT_END = re.compile(r"^(?P<path>.*\S)\s+(?P<label>-?\d{1,4000})$", re.DOTALL)
_CLASS_AT_END = re.compile(r"^(?P<path>.*[^\s,])(?:\s+|,)(?P<label>\d{1,9})$", re.DOTALL)


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
    rows = _rows(spec, content, file, chosen=True)
    placed = (listed for row in rows if (listed := _place(spec, *row, file)) is not None)
    every = not include or spec.match == "name"
    images = tuple(item for item in placed if every or item.path.split("/", 1)[0] in include)
    if not images:
        chosen = f" below '{spec.only}'" if spec.only else ""
        chosen += " with one of its numbers" if spec.numbers else ""
        chosen += f" with {' and '.join(map(str, spec.where))}" if spec.where else ""
        raise DataError(f"the image list names no images{chosen}", file=file, fix=_there(spec, content, file))
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
            f"the image list names {many(lines, 'image')}; the catalogue expects {spec.lines}",
            file=file,
            fix=fix or "correct the list, or 'lines' in the catalogue",
        )


def _rows(spec: ListSpec, content: bytes, file: Path, *, chosen: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (number of the line, text) of all that is not blank, or of that alone which `where` takes."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the image list is not UTF-8 text: {error}", file=file) from None
    if spec.column is not None:
        for number, row in _table(text, file, [spec.column, *(one.column for one in spec.where)]):
            if not row[spec.column]:
                raise DataError(f"line {number} of the image list has no '{spec.column}'", file=file)
            if not chosen or _taken(spec.where, row, number, file):
                yield number, row[spec.column]
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def _taken(where: Sequence[Attribute], row: Mapping[str, str | None], line: int, file: Path) -> bool:
    """Say whether all of `where` holds; a cell without a number is a fault only where all the others do."""
    fault = None
    for one in where:
        text = row[one.column] or ""
        try:
            if not one.holds(text):
                return False
        except ValueError:
            fault = fault or f"line {line} of the image list has {one.column} = '{text[:80]}', which is no number"
    if fault is not None:
        raise DataError(fault, file=file, fix="correct the list, or name values in 'where' instead of bounds")
    return True


def _there(spec: ListSpec, content: bytes, file: Path) -> str | None:
    """Return what a list has instead, of which no line fits: numbers at the ends, or values in the columns."""
    if spec.numbers:
        ends = (_CLASS_AT_END.match(text.strip()) for _, text in _rows(spec, content, file))
        numbers = sorted({int(end["label"]) for end in ends if end is not None})
        shown = ", ".join(map(str, numbers[:MOST_VALUES])) + ", …" * (len(numbers) > MOST_VALUES)
        return "correct 'numbers' in the catalogue; " + (
            f"lines end in {shown}" if numbers else "no line ends in a number"
        )
    if not spec.where:
        return None
    columns = [one.column for one in spec.where]
    found: dict[str, dict[str, None]] = {column: {} for column in columns}
    for _, row in _table(content.decode("utf-8-sig"), file, columns):
        for column in columns:
            found[column][(row[column] or "").strip()] = None
    some = (
        f"{c}: {', '.join([*values][:MOST_VALUES])}{', …' * (len(values) > MOST_VALUES)}" for c, values in found.items()
    )
    return f"correct 'where' in the catalogue; there are {'; '.join(some)}"


def _table(text: str, file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (number of the line, cells by column) of a CSV file that has these columns."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or ()
        for column in columns:
            if column not in names:
                have = ", ".join(map(repr, names)) or "nothing"
                raise DataError(f"the image list has no column '{column}', but {have}", file=file)
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"the image list is not valid CSV: line {reader.line_num}: {error}", file=file) from None


def _place(spec: ListSpec, line: int, text: str, file: Path) -> ListEntry | None:
    """Apply `only`, `numbers`, `strip` and `add`; return None for a line that one of the first two leaves out."""
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
    if spec.numbers:
        ends = _CLASS_AT_END.match(bare)
        if ends is None or int(ends["label"]) not in spec.numbers:
            return []
        return [(ends["path"], spec.numbers.index(int(ends["label"])))]
    match = _LABEL_AT_END.match(bare)
    labelled: list[tuple[str, int | None]] = [] if match is None else [(match["path"], int(match["label"]))]
    return dict.fromkeys([*labelled, (bare, None), (text, None)])


def _normal(spec: ListSpec, path: str) -> str:
    return path.rsplit("/", 1)[-1] if spec.match == "name" else path.removeprefix("./")
