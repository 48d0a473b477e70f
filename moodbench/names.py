"""The rules for everything that becomes part of a path: names, bare file names, and relative paths of a catalogue.

Each `…_fault` says in words what is wrong with a text, or returns None; who asks knows which error to raise. Whatever
passes stays inside the folder that it is appended to, and leaves room for the suffixes of locks and temporary files.
"""

from __future__ import annotations

import re
import unicodedata

from moodbench.errors import UsageError
from moodbench.types import ALL_GROUPS, MEAN

RESERVED = ("head", "heads", MEAN, "scores")
"""Names that datasets cannot have: the heads and row scores of a model lie among its caches, and results call their
averages mean."""

MOST_BYTES = 200
"""A file name may have 255 on most file systems; the rest is for ``.``, ``.lock``, a process number and ``.tmp``."""

_SEPARATORS = "/\\@+:"
"""Of paths, and of the parts of a model's name."""


def name_fault(name: object) -> str | None:
    """Say why this cannot name a model, variant, head, dataset or benchmark.

    >>> name_fault("../other")
    "has '/'"
    """
    if not isinstance(name, str):
        return "is no text"
    if name.startswith("."):
        return "begins with '.'" if not set(name) & {"/", "\\"} else "has '/'"
    bad = next((c for c in name if c in _SEPARATORS or c.isspace()), None)
    if bad is not None:
        return "has a blank" if bad.isspace() else f"has '{bad}'"
    return file_fault(name)


def dataset_fault(name: object) -> str | None:
    """Say why this cannot name a dataset."""
    return "is a name that moodbench itself uses" if name in RESERVED else name_fault(name)


def fault_of(name: object, kind: str) -> str | None:
    """Say why this cannot name a thing of this kind, as ``dataset`` or ``model``."""
    return dataset_fault(name) if kind == "dataset" else name_fault(name)


def check_name(name: str, kind: str) -> str:
    """Return `name` if it can name a thing of this kind, else raise `UsageError`."""
    fault = fault_of(name, kind)
    if fault is not None:
        raise UsageError(f"'{name}' cannot name a {kind}: it {fault}", fix="use letters, digits, '_', '-' and '.'")
    return name


def file_fault(name: str) -> str | None:
    """Say why this cannot be the bare name of a file."""
    if not name:
        return "is empty"
    if "/" in name:
        return "has '/'"
    if name.startswith("."):
        return "begins with '.'"
    return _part_fault(name)


def path_fault(path: str) -> str | None:
    """Say why this cannot be a relative path below a folder."""
    if path.startswith("/"):
        return "is an absolute path"
    for part in path.removesuffix("/").split("/"):
        if part in ("", ".", ".."):
            return f"has '{part}' as a part" if part else "has an empty part"
        fault = _part_fault(part)
        if fault is not None:
            return fault
    return None


def folder_fault(path: str) -> str | None:
    """Say why this cannot be a dataset's folder below the data directory, where moodbench's own begin with a dot."""
    return "begins with '.'" if path.startswith(".") else path_fault(path)


def title_fault(title: str) -> str | None:
    """Say why this cannot head a row or column of results, as classes and groups do: it must be seen on one line."""
    return _part_fault(title) if title.strip() else "is empty"


def group_fault(title: str) -> str | None:
    """Say why this cannot be the title of a group of OOD datasets."""
    return "is what results call their averages" if title in (ALL_GROUPS, MEAN) else title_fault(title)


def class_fault(title: str) -> str | None:
    """Say why this cannot be the title of a class that results have a row of."""
    return "is what results call their averages" if title == MEAN else title_fault(title)


def is_address(name: str) -> bool:
    """Say whether a text names something outside this machine's folders: ``s3://bucket/train.tar``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name) is not None


def leads_out(path: str) -> bool:
    """Say whether a path of a list leads out of the folder that it is appended to."""
    return path.startswith("/") or ".." in path.split("/")


def _part_fault(part: str) -> str | None:
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in part):
        return "has a character that cannot be shown"
    if len(part.encode()) > MOST_BYTES:
        return f"is longer than {MOST_BYTES} bytes"
    return None


def as_text(name: object) -> str:
    """Return the name of a file as text: bytes of it that are no UTF-8 are escaped (``\\xe9``)."""
    return str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(name: object) -> str:
    """Return the name of a file for a line: as `as_text` does, and what would end the line or move the cursor too."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in as_text(name)
    )
