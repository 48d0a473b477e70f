"""A file that is there whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(file: Path, data: bytes | memoryview) -> None:
    """Put `data` at `file`; folders are created, a file that is there is replaced, the disk has it on return.

    Raises
    ------
    OSError
        The file system refuses. What was there before stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # The process number keeps two writers apart; the suffix keeps what a kill leaves behind out of every listing.
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
