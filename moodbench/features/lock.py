"""One writer a file of the cache folder: `moodbench.lock`, with the messages for caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from moodbench.atomic import sweep
from moodbench.errors import CacheError
from moodbench.lock import exclusive as hold
from moodbench.lock import lock_file as lock_file


@contextmanager
def exclusive(file: Path, *, waiting: Callable[[], None] | None = None, tidy: bool = False) -> Iterator[None]:
    """Hold the right to write `file`, a cache or a head, for the duration of the block.

    What a killed process left of it is removed first. `waiting` and `tidy` are those of `moodbench.lock.exclusive`.

    Raises
    ------
    CacheError
        Another process holds it and `waiting` is None, or the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(file, waiting=waiting, tidy=tidy))
        except BlockingIOError:
            raise CacheError(
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
