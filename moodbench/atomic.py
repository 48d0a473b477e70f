"""A file that is there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from moodbench.errors import ResultsError


def temporary_file(file: Path) -> Path:
    """Return the name under which this process makes what will become `file`.

    The process number keeps two writers apart; what a kill leaves behind is hidden from every listing by the dot and
    the suffix, and found by `sweep`.
    """
    return file.with_name(f".{file.name}.{os.getpid()}.tmp")


def replace_file(file: Path, data: bytes | memoryview) -> None:
    """Put `data` at `file`; folders are created, a file that is there is replaced, the disk has it on return.

    Raises
    ------
    OSError
        The file system refuses. What was there before stays.
    """
    replace_by(file, lambda stream: stream.write(data))


def replace_by(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Put at `file` what `write` writes to the stream that it is given; otherwise as `replace_file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_file(file)
    try:
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
        sync_folder(file.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_file(file: Path, data: bytes | memoryview) -> None:
    """Put `data` where a person asked for it: as `replace_file` does, and where a link leads to.

    What is there and no file, such as ``/dev/stdout`` or a named pipe, is written into, never replaced.

    Raises
    ------
    ResultsError
        The file system refuses.
    """
    with writing(file):
        target = Path(os.path.realpath(file))
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                stream.write(data)
        else:
            replace_file(target, data)


@contextlib.contextmanager
def writing(file: Path) -> Iterator[None]:
    """Turn a file system's refusal to write the result `file` into a `ResultsError` that names it."""
    try:
        yield
    except OSError as error:
        what = f"the file cannot be written ({error.strerror})"
        raise ResultsError(what, file=file, fix="check the folder and the disk") from None


def sync_folder(folder: Path) -> None:
    """Return when the disk has the names in `folder` as they are now; where folders cannot be synced, at once."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(file: Path, idle: float = 0.0) -> None:
    """Remove what killed processes left of `file`, which may be a folder: its temporary files, or folders.

    Only for who holds the right to write `file`: to everybody else they may be the work of a living process. What
    cannot be removed stays, and what was written to within the last `idle` seconds: where nobody can hold that right,
    what is older is nobody's work.
    """
    since = time.time() - idle
    left = re.compile(rf"\.+{re.escape(file.name)}(\.\d+\.tmp|\.new|\.import)+")
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(file.parent)):
            if left.fullmatch(entry.name) and (not idle or entry.stat(follow_symlinks=False).st_mtime < since):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)
