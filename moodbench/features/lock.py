"""One writer a cache: the lock of `moodbench.transfer.lock`, with the messages for caches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from moodbench.errors import CacheError
from moodbench.transfer import lock
from moodbench.transfer.lock import lock_file as lock_file


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Hold the right to write `file` for the duration of the block.

    Raises
    ------
    CacheError
        Another process holds it, or the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.exclusive(file))
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
        yield
