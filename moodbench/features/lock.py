"""One writer a file of the cache folder: `moodbench.lock`, with the messages for caches.

Whoever makes a cache holds its lock from before the head is stored until the cache has its name. So a folder in which
no lock of a cache is held, and no cache lies, has a head that nobody needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from moodbench.atomic import sweep
from moodbench.errors import CacheError
from moodbench.lock import exclusive as hold
from moodbench.lock import lock_file as lock_file

_TRIES, _PAUSE = 4, 0.01
"""Others may hold a lock for a moment to look whether it is held (`is_written`)."""


class BusyError(CacheError):
    """Another process is writing the cache."""


@contextmanager
def exclusive(file: Path, *, waiting: Callable[[], None] | None = None, tidy: bool = False) -> Iterator[None]:
    """Hold the right to write `file`, a cache or a head, for the duration of the block.

    What a killed process left of it is removed first. `waiting` and `tidy` are those of `moodbench.lock.exclusive`.

    Raises
    ------
    BusyError
        Another process holds it and `waiting` is None.
    CacheError
        The folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            _enter(stack, file, waiting, tidy)
        except BlockingIOError:
            raise BusyError(
                "another process is writing this cache", file=file, fix="wait for it to end, or stop it"
            ) from None
        except OSError as error:
            raise CacheError(
                f"the cache folder cannot be written: {error.strerror}",
                file=file.parent,
                fix="choose another --cache-dir",
            ) from None
        sweep(file)
        yield


def _enter(stack: ExitStack, file: Path, waiting: Callable[[], None] | None, tidy: bool) -> None:
    for left in reversed(range(_TRIES)):
        try:
            stack.enter_context(hold(file, waiting=waiting, tidy=tidy))
            return
        except BlockingIOError:
            if left == 0:
                raise
            time.sleep(_PAUSE)


def is_written(folder: Path, *, besides: Path | None = None) -> bool:
    """Say whether somebody is making a cache in this folder; `besides`: a cache whose lock the caller holds."""
    for path in folder.glob(".*.h5.lock"):
        file = path.with_name(path.name[1 : -len(".lock")])
        if file.name != "head.h5" and file != besides and not path.is_symlink():  # nobody holds a link
            try:
                with hold(file, tidy=True):  # nobody holds it: what killed processes left goes with the lock
                    sweep(file)
            except BlockingIOError:
                return True
            except OSError:  # a folder that cannot be written: nobody makes a cache in it
                return False
    return False


@contextmanager
def begun_or_nothing(file: Path) -> Iterator[None]:
    """Remove the folder of a cache that was not begun, as the block failed, unless something else is in it."""
    try:
        yield
    except BaseException:
        if not file.exists() and not is_written(file.parent):
            with suppress(OSError):
                file.parent.rmdir()
        raise
