"""What a pool of workers is: who is given tasks, and what it tells of them. Processes and Ray actors both are one.

A worker is made once, in a process of its own, perhaps on another machine; what it holds (a network) serves all its
tasks. Whoever gives tasks (`moodbench.pools.dispatch`) knows neither processes nor Ray.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from moodbench.errors import MoodbenchError

Told = Callable[[float], None]
"""Is called by a worker in the middle of a task: so much more is done."""

Worker = Callable[[Any, Told], Any]
"""(task, told) → answer. Tasks and answers are picklable."""

Maker = Callable[[], Worker]
"""Makes a worker where it is to work. Picklable."""


@dataclass(frozen=True)
class Ready:
    """A worker has been made and waits for a task; `where` is its machine."""

    worker: int
    where: str


@dataclass(frozen=True)
class Advanced:
    """In the middle of a task: so much more is done."""

    worker: int
    amount: float


@dataclass(frozen=True)
class Answered:
    """A task is done."""

    worker: int
    answer: Any


@dataclass(frozen=True)
class Failed:
    """A task, or the making of the worker, raised an error."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Lost:
    """A worker is no more; `how` goes on the sentence "the worker …"."""

    worker: int
    how: str


Event = Ready | Advanced | Answered | Failed | Lost


class Pool(Protocol):
    """Workers by number, from 0; to be used as a context manager, which ends them."""

    size: int

    def __enter__(self) -> Pool:
        """Begin to make the workers; each tells when it is ready."""
        ...

    def __exit__(self, *_: object) -> None:
        """End the workers, whatever they do."""
        ...

    def give(self, worker: int, task: Any) -> None:
        """Give a task to a worker that has none. If it is no more, that is told as an event."""
        ...

    def replace(self, worker: int) -> None:
        """Make a lost worker anew."""
        ...

    def events(self, seconds: float) -> list[Event]:
        """Wait until something happens, so long at most; return what did."""
        ...


@dataclass(frozen=True)
class Report:
    """An error on its way from a worker: as words, since many an error does not survive pickling.

    Attributes
    ----------
    kind : (str, str) or None
        Module and name of its class where that is one of moodbench's errors; None: a bug.
    what, file, fix : str, str or None, str or None
    trace : str
        The traceback, there.
    """

    kind: tuple[str, str] | None
    what: str
    file: str | None
    fix: str | None
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Report:
        """Take down an error."""
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, MoodbenchError):
            file = None if error.file is None else str(error.file)
            return cls((type(error).__module__, type(error).__qualname__), error.what, file, error.fix, trace)
        return cls(None, f"{type(error).__name__}: {error}", None, None, trace)

    def error(self) -> Exception:
        """Return it again, of the same class; a bug comes as a RuntimeError. Its note is the traceback."""
        if self.kind is None:
            made: Exception = RuntimeError(f"in a worker: {self.what}")
        else:
            kind = getattr(importlib.import_module(self.kind[0]), self.kind[1])
            made = kind.__new__(kind)  # some have arguments of their own
            MoodbenchError.__init__(made, self.what, file=self.file, fix=self.fix)  # type: ignore[arg-type]
        made.add_note(self.trace)
        return made
