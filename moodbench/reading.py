"""Files that other people wrote, opened with care: a regular file of a sensible size, or one message that says why not.

A pipe or a device in a file's place would be waited for, or read, for ever; a text is decoded strictly; JSON that is
nested out of all measure is an error like any other.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, TypeVar, get_args, get_origin, get_type_hints

from moodbench.errors import MoodbenchError

Record = TypeVar("Record")

MOST_TEXT = 1 << 30
"""Bytes of the largest text that is read: a list of twenty million images."""

_INSTEAD = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(
    file: Path, what: str, kind: type[MoodbenchError], *, missing: str = "does not exist", fix: str | None = None
) -> BinaryIO:
    """Open a regular file for reading; nothing is waited for.

    Parameters
    ----------
    file : Path
    what : str
        What it should be, as in ``the catalogue``: the message begins with it.
    kind : type
        Of the error.
    missing : str
        What to say of it where there is no such file; `fix` is what to do then.

    Raises
    ------
    MoodbenchError
        Of the type `kind`: there is no such file, it may not be read, or it is a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise kind(f"{what} {missing}", file=file, fix=fix or "check the path") from None
    except OSError as error:
        raise kind(f"{what} cannot be read: {(error.strerror or str(error)).lower()}", file=file, fix=fix) from None
    except ValueError as error:  # a path with a zero in it
        raise kind(f"{what} cannot be read: {error}", fix=fix) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise kind(f"{what} should be a file, but this is {_instead_of_file(mode)}", file=file, fix="name a regular file")


def check_regular(
    file: Path, what: str, kind: type[MoodbenchError], *, missing: str = "does not exist", fix: str | None = None
) -> None:
    """Raise the error of `open_regular` unless this is a regular file that may be read."""
    open_regular(file, what, kind, missing=missing, fix=fix).close()


def lack_of(file: Path) -> str | None:
    """Say in words why no file can be read there: there is none, or something else; None: a file is there."""
    if os.path.isfile(file):  # noqa: PTH113 (which `Path` raises an error for where it may not look)
        return None
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError):
        return "there is no such file"
    return f"that is {_instead_of_file(mode)}, and no file"


def _instead_of_file(mode: int) -> str:
    return next((name for test, name in _INSTEAD if test(mode)), "something else")


def read_bytes(
    file: Path,
    what: str,
    kind: type[MoodbenchError],
    *,
    most: int = MOST_TEXT,
    missing: str = "does not exist",
    fix: str | None = None,
) -> bytes:
    """Return what is in a regular file of at most `most` bytes; see `open_regular`."""
    with open_regular(file, what, kind, missing=missing, fix=fix) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise kind(f"{what} has {size} bytes, and {most} are the limit", file=file, fix="is it the right file?")
        try:
            return stream.read(most)
        except OSError as error:
            raise kind(f"{what} cannot be read: {(error.strerror or str(error)).lower()}", file=file) from None


def read_text(
    file: Path, what: str, kind: type[MoodbenchError], *, most: int = MOST_TEXT, fix: str | None = None
) -> str:
    """Return the UTF-8 text in a regular file of at most `most` bytes; see `open_regular`."""
    try:
        return read_bytes(file, what, kind, most=most, fix=fix).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said = f"{what} is not UTF-8 text: {error.reason} at byte {error.start}"
        raise kind(said, file=file, fix="save it as UTF-8, if it is the right file") from None


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says; whatever is wrong with it is a `ValueError`."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def as_record(kind: type[Record], values: Any) -> Record:
    """Return a dataclass made of what a JSON object says; a field of another type is a `TypeError` that names it."""
    if not isinstance(values, dict):
        raise TypeError(f"it is a {type(values).__name__}, not an object")
    made = kind(**values)
    for name, hint in get_type_hints(kind).items():
        hints = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        kinds = tuple(get_origin(one) or one for one in hints)
        value = getattr(made, name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TypeError(f"its '{name}' is a {type(value).__name__}")
    return made
