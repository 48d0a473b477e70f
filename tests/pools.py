"""Workers that compute next to nothing, and do what is told of them to a pool; importable by other processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import DataError, UnknownNameError


@dataclass(frozen=True)
class Doubling:
    """Makes a worker that doubles numbers; texts tell it to fail in a way. `folder` keeps what has happened before."""

    folder: Path

    def __call__(self):
        """Make it."""
        return self.work

    def work(self, task, told):
        """Return twice a number, or do what a text says."""
        told(1.0)
        if isinstance(task, int):
            time.sleep(0.01)
            return 2 * task, os.getpid()
        what, _, argument = task.partition(" ")
        if what == "die" or (what == "die-once" and self.first(argument)):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "refuse":
            raise DataError("this cannot be read", file=argument, fix="mend it")
        if what == "unknown":
            raise UnknownNameError("model", argument, ["a", "b"])
        if what == "bug":
            raise ZeroDivisionError(argument)
        if what == "held" and self.first(argument):
            raise BlockingIOError(argument)
        return what, os.getpid()

    def first(self, name: str) -> bool:
        """Say whether this was not asked before, by whomever."""
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def ends_at_once():
    """Make no worker: the process ends."""
    os._exit(3)


def cannot_be_made():
    """Make no worker: an error says why."""
    raise DataError("there is no such folder here", file="/nowhere")
