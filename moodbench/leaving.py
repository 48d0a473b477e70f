"""Ends a command at once when a signal asks for it. Imports next to nothing: it has to be there before all else."""

from __future__ import annotations

import os
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave(number: int, frame: object) -> None:
    """End the process: one line, exit code 128 + signal."""
    try:
        os.write(2, b"interrupted\n")
    except OSError:  # the terminal may be gone
        pass
    finally:
        os._exit(128 + number)


def leave_at_once() -> None:
    """Let the signals end the process without a traceback; those that are ignored (``nohup``) stay ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, leave)
