"""What a command does about Ctrl-C, a closed terminal and ``kill``: one line, exit code 128 + signal, no traceback.

While nothing is to be lost (libraries are imported, options are parsed) it leaves at once (`leaving`). While it works,
the signal becomes an exception, so that files are closed and temporary ones removed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moodbench.leaving import SIGNALS, leave

PATIENCE = 2.0
"""Seconds in which more signals change nothing (a terminal and the shell may both send one); later ones end at once."""


class InterruptedBySignal(KeyboardInterrupt):
    """One of `SIGNALS` came; `exit_code` is what the command ends with."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Watch:
    """Whether one of the signals has come, and with it the exit code; what a library makes of it does not matter."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._since = 0.0

    def stop(self, number: int, frame: object) -> None:
        """Handle a signal: the first is an exception."""
        now = time.monotonic()
        if self.exit_code is None:
            self.exit_code, self._since = 128 + number, now
            raise InterruptedBySignal(number)
        if now - self._since > PATIENCE:
            leave(number, frame)

    def unraisable(self, args: Any) -> None:
        """Raise it again where it fell into a place that swallows exceptions (a finaliser, a callback of an import)."""
        if self.exit_code is None or not issubclass(args.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(args)
            return
        number = self.exit_code - 128
        self.exit_code = None
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()


@contextmanager
def watching() -> Iterator[Watch]:
    """Let the first signal raise `InterruptedBySignal` for the duration of the block."""
    watch = Watch()
    before = _handle(watch.stop)
    hook = sys.unraisablehook
    sys.unraisablehook = watch.unraisable
    try:
        yield watch
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(handler: Any) -> dict[signal.Signals, Any]:
    """Install a handler and return those that were there; only a main thread may."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    return before
