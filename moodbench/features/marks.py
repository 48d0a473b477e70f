"""A file in the cache folder by which workers elsewhere see that theirs is the same folder.

It is the file of a lock, so whoever comes later can tell the mark of a living command from that of a killed one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from moodbench.lock import exclusive, lock_file

_NAME = "workers"


@contextmanager
def marked(folder: Path) -> Iterator[Path | None]:
    """Yield the mark of this process; None: the folder is read-only.

    Whether that is an error, those say who write caches: of finished ones there is nothing to write.
    """
    drop_left_marks(folder)
    mark, writable = folder / f"{_NAME}.{secrets.token_hex(4)}", True
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(mark, tidy=True))
        except OSError:
            writable = False
        yield lock_file(mark) if writable else None


def drop_left_marks(folder: Path) -> None:
    """Remove the marks of commands that were killed."""
    for path in folder.glob(f".{_NAME}.*.lock"):
        with suppress(OSError), exclusive(path.with_name(path.name[1 : -len(".lock")]), tidy=True):
            pass  # nobody holds it, and it goes
