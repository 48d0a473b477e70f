"""Stops a process at the n-th step in which it changes the file system: as ``kill -9`` would, or with an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_watch: Callable[[], None] | None = None
_hooked = False


class KilledError(BaseException):
    """Stands for ``kill -9``: no ``except`` of a program catches it, and what comes after changes nothing."""


class Steps:
    """Counts steps, and from one of them on does `stop` in their place.

    Parameters
    ----------
    at : int
        The first step that does not happen, counted from 0.
    stop : callable
        Raises, or ends the process.
    last : int, optional
        Steps after this one happen again (an error that passes); by default none does.
    """

    def __init__(self, at: int, stop: Callable[[], object], last: int | None = None) -> None:
        self.at, self.stop, self.last = at, stop, last
        self.count = 0

    def __call__(self) -> None:
        step = self.count
        self.count += 1
        if step >= self.at and (self.last is None or step <= self.last):
            self.stop()


def killed() -> None:
    """Stop as after ``kill -9``."""
    raise KilledError


def error(number: int) -> Callable[[], None]:
    """Return what fails with this error of the system, such as ``errno.ENOSPC``."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


@contextmanager
def watched(steps: Callable[[], None]) -> Iterator[None]:
    """Call `steps` before each change of the file system that Python makes in this process, and each fsync."""
    global _watch, _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    before, _watch = _watch, steps
    fsync = os.fsync

    def counted(descriptor: Any) -> None:
        steps()
        fsync(descriptor)

    os.fsync = counted  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = fsync
        _watch = before


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is None or (event != "open" and event not in _CHANGES):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
        return
    _watch()
