"""What a path or address of images means: an ordinary folder, or one of the places where they lie packed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from moodbench.datasets.packed.members import refuse_compressed
from moodbench.datasets.packed.storage import expand
from moodbench.datasets.packed.tables import arrow_files, split_folder
from moodbench.errors import DataError
from moodbench.names import is_address

_ARCHIVE = re.compile(r"(?P<archive>.*?\.(?P<kind>tar|zip|parquet))(?:/(?P<inner>.*))?", re.IGNORECASE | re.DOTALL)
_ONE_SLASH = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/(?P<rest>[^/].*)", re.DOTALL)
"""What becomes of an address that was taken for a path."""

_COMPRESSED = re.compile(r".*\.(?:tar\.(?P<how>gz|bz2|xz|zst)|tgz|tbz2|txz)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where images lie that are not files below a folder of this disk.

    Attributes
    ----------
    name : str
        As it was written.
    kind : {"tar", "zip", "parquet", "arrow", "folder"}
        ``folder``: files below an address.
    files : tuple of str
        The archives or tables, in order; of a folder its address.
    inner : str
        The folder within archives whose images are meant; empty: all.
    """

    name: str
    kind: str
    files: tuple[str, ...]
    inner: str = ""


def is_packed(name: str | Path) -> bool:
    """Say whether a path or address means a place where images lie packed, there or not. Opens nothing.

    Raises
    ------
    DataError
        It is a folder of several splits.
    """
    text = _text(name)
    if is_address(text):
        return True
    if os.path.isdir(text):  # noqa: PTH112 (of any name)
        return split_folder(Path(text))
    return _ARCHIVE.fullmatch(text) is not None or _COMPRESSED.fullmatch(text) is not None


def packed_place(name: str | Path) -> Place:
    """Return the place that a path or address means of which `is_packed` is true.

    Raises
    ------
    DataError
        It is compressed as a whole, a pattern that fits no file, or a folder that cannot be used.
    """
    text = _text(name)
    if not is_address(text):
        text = os.path.abspath(text)  # noqa: PTH100 (handles are known by it, wherever a process goes)
        if os.path.isdir(text):  # noqa: PTH112 (of any name)
            return Place(text, "arrow", arrow_files(Path(text)))
    compressed = _COMPRESSED.fullmatch(text)
    if compressed is not None:
        raise refuse_compressed(text, compressed["how"] or text.rsplit(".", 1)[-1])
    found = _ARCHIVE.fullmatch(text)
    if found is None:
        return Place(text, "folder", (text.rstrip("/"),))
    inner = (found["inner"] or "").strip("/")
    if found["kind"].lower() == "parquet" and inner:
        raise DataError("a table has no folders", file=text, fix=f"name the table alone: {found['archive']}")
    return Place(text, found["kind"].lower(), expand(found["archive"]), inner)


def packed_is_there(name: str | Path) -> bool:
    """Say whether the first file of a packed place is there. What lies elsewhere is taken to be: asking would wait."""
    if is_address(_text(name)):
        return True
    try:
        return Path(packed_place(name).files[0]).is_file()
    except DataError:
        return False


def _text(name: str | Path) -> str:
    """Return a path or an address as it was written."""
    text = str(name)
    found = _ONE_SLASH.fullmatch(text)
    return text if found is None or os.path.lexists(text) else f"{found['scheme']}://{found['rest']}"
