"""One writer a file, by a lock that ends with its process.

The lock is a POSIX record lock on a file beside the one that is written. `flock`, which HDF5 and the common locking
libraries use, is inherited by forked children: after ``kill -9`` an orphaned worker would hold it until it notices. A
record lock belongs to the one process that took it, its children excluded. It knows no threads, so those of one process
are kept apart here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.2
"""How often a waiting process looks whether it is its turn. (To sleep in the kernel, which looks for deadlocks among
processes and not among threads, would now and then be refused for no reason.)"""

_TRIES = 1000
"""How often the lock's file may be removed between its opening and its locking."""

_held: set[str] = set()
_guard = threading.Lock()


def _begin_anew() -> None:
    """Let a forked child know that it holds none of its parent's locks."""
    global _guard
    _guard = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_begin_anew)


def lock_file(file: Path) -> Path:
    """Return the path of the file that is locked in place of `file`."""
    return file.with_name(f".{file.name}.lock")


@contextmanager
def exclusive(file: Path, *, waiting: Callable[[], None] | None = None, tidy: bool = False) -> Iterator[None]:
    """Hold the right to write `file` for the duration of the block.

    Parameters
    ----------
    file : Path
        Its folder is made if need be.
    waiting : callable, optional
        Called once if somebody else holds the right, which is then waited for. None: do not wait.
    tidy : bool
        Remove the lock's own file at the end.

    Raises
    ------
    BlockingIOError
        Somebody else holds it, and `waiting` is None.
    OSError
        The folder cannot be written, or knows no locks, or a symbolic link lies where the lock should: it is never
        followed.
    """
    path = lock_file(file)
    taken = _take(path)
    if taken is None:
        if waiting is None:
            raise BlockingIOError(f"{file} is being written by somebody else")
        waiting()
        while (taken := _take(path)) is None:
            time.sleep(POLL_SECONDS)
    descriptor, key = taken
    try:
        yield
    finally:
        try:
            if tidy:  # while the lock is held, so that no two processes hold locks on files of the same name
                with contextlib.suppress(OSError):  # a folder that became read-only, or went away
                    path.unlink()
        finally:
            os.close(descriptor)
            with _guard:
                _held.discard(key)


def _take(path: Path) -> tuple[int, str] | None:
    """Return the descriptor of the locked file and what it is noted under; None if somebody else has it."""
    for _ in range(_TRIES):
        path.parent.mkdir(parents=True, exist_ok=True)
        key = os.path.realpath(path)
        with _guard, contextlib.suppress(FileNotFoundError):  # it, or its folder, was removed by who held it: once more
            if key in _held:
                return None
            descriptor = _open(path)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), path.lstat()):
                    _held.add(key)
                    return descriptor, key
            except (BlockingIOError, PermissionError):
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _open(path: Path) -> int:
    """Return the descriptor of the lock's own file, made if need be, and never of what a link there leads to."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, f"'{path.name}' is a link, remove it", str(path)) from None
        raise
