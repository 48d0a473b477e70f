"""Run as a script with a folder: what can be done in it, as JSON. Standard library alone, and nothing is left behind.

The locks are those of `moodbench.lock`, POSIX record locks, which hold between processes: a second one is asked.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import tempfile
from typing import Any

BUSY, FREE, FAILED = 3, 4, 5


def _second(file: str) -> int:
    """Return what another process finds when it tries to lock the file."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    answer = FAILED
    try:
        descriptor = os.open(file, os.O_RDWR)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            answer = FREE
        except (BlockingIOError, PermissionError):
            answer = BUSY
    finally:
        os._exit(answer)


def _asked(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {"writable": False, "error": ""}
    disk = os.statvfs(folder)
    found["free"], found["total"] = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    found["files_free"] = disk.f_favail if disk.f_files else None
    try:
        with tempfile.TemporaryDirectory(prefix=".moodbench-doctor-", dir=folder) as inside:
            found["writable"] = True
            file = os.path.join(inside, "letters")  # noqa: PTH118
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                found["case_insensitive"] = os.path.exists(os.path.join(inside, "LETTERS"))  # noqa: PTH110, PTH118
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    answer = _second(file)
                    found["locks"] = {BUSY: "work", FREE: "do not hold"}.get(answer, "failed")
                except OSError as error:
                    found["locks"] = error.strerror or str(error)
            finally:
                os.close(descriptor)
    except OSError as error:
        found["error"] = error.strerror or str(error)
    return found


if __name__ == "__main__":
    json.dump(_asked(sys.argv[1]), sys.stdout)
