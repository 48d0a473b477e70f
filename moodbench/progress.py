"""How far long work is, and how much time is left: a bar on a terminal or in a notebook, else a line now and then."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from moodbench.sizes import human_bytes

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS = 1.0
"""Work that is done sooner shows no bar."""

MINUTE = 60.0
"""Seconds between two lines where there is no terminal, as in the log of a job, unless somebody says otherwise."""

_every = MINUTE

_UNITS = {"img": "images", "penalty": "penalties"}
_BYTES = "B"


def say_every(seconds: float) -> None:
    """Let lines come every so many seconds from now on, in the whole process; 0: never."""
    global _every
    _every = seconds


class Clock:
    """When the last line was written; several phases of one work share it, so that short ones add none."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def due(self) -> bool:
        """Say whether it is time for a line; if so, the next is due as much later."""
        now = time.monotonic()
        if _every <= 0 or now - self.last < _every:
            return False
        self.last = now
        return True


class Bar(Protocol):
    """What is told how much is done."""

    n: float

    def update(self, n: float = 1) -> object:
        """So much more is done."""

    def __enter__(self) -> Bar:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Be gone."""


class Lines:
    """In the place of a bar where there is no terminal: a line each minute (`say_every`), none for what is done sooner.

    Parameters
    ----------
    what : str
    total : float or None
    done : float
        Of which this was there already.
    clock : Clock, optional
    silent : bool
    unit : str
        Of `total`, as bars have it: ``img``, ``row``, ``B``.
    """

    def __init__(
        self,
        what: str,
        total: float | None,
        done: float = 0,
        clock: Clock | None = None,
        silent: bool = False,
        unit: str = "img",
    ) -> None:
        self.what, self.total, self.n, self.silent, self.unit = what, total, done, silent, unit
        self._clock = clock or Clock()
        self._begin, self._before = time.monotonic(), done

    def update(self, n: float = 1) -> None:
        """Write a line if it is time."""
        self.n += n
        if not self.silent and self._clock.due():
            say(f"{self.what}: {self._far()}")

    def _far(self) -> str:
        passed = time.monotonic() - self._begin
        new = self.n - self._before
        rate = f", {self._many(new / passed)}/s" if passed > 0 and new > 0 else ""
        if not self.total:
            return f"{self._many(self.n)} after {span(passed)}{rate}"
        left = f", about {span(passed * (self.total - self.n) / new)} left" if new > 0 and self.n < self.total else ""
        of = f"{self._number(self.n)} of {self._many(self.total)}"
        return f"{100 * self.n / self.total:.0f} % ({of}) after {span(passed)}{rate}{left}"

    def _many(self, n: float) -> str:
        if self.unit == _BYTES:
            return human_bytes(round(n))
        return f"{self._number(n)} {_UNITS.get(self.unit, f'{self.unit}s')}"

    def _number(self, n: float) -> str:
        if self.unit == _BYTES:
            return human_bytes(round(n))
        return f"{n:.0f}" if n >= 10 or n == round(n) else f"{n:.2g}"

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_listener: Callable[[float], object] | None = None


@contextmanager
def listening(told: Callable[[float], object]) -> Iterator[None]:
    """Let all bars be for the duration of the block: `told` is called in their place, with what was there and is new.

    For workers, whose progress others show.
    """
    global _listener
    before, _listener = _listener, told
    try:
        yield
    finally:
        _listener = before


class _Heard(Lines):
    """In the place of a bar: somebody is told."""

    def __init__(self, what: str, total: float | None, done: float, told: Callable[[float], object]) -> None:
        super().__init__(what, total, done, silent=True)
        self._told = told
        if done:
            told(done)

    def update(self, n: float = 1) -> None:
        super().update(n)
        self._told(n)


def bar(
    what: str,
    total: float | None,
    *,
    shown: bool,
    unit: str = "img",
    done: float = 0,
    clock: Clock | None = None,
    **look: Any,
) -> Bar:
    """Return a bar on a terminal or in a notebook, else lines in its place; what does nothing unless `shown`.

    Parameters
    ----------
    what : str
    total : float or None
    shown : bool
    unit : str
    done : float
        Of the total, this was there already.
    clock : Clock, optional
        Of the lines, where several phases share one.
    **look
        Of the bar; see tqdm.
    """
    if _listener is not None:
        return _Heard(what, total, done, _listener)
    if shown and has_bars():
        bar: Bar = bars()(total=total, initial=done, desc=what, unit=unit, **look)
        return bar
    return Lines(what, total, done, clock, not shown, unit)


def has_bars() -> bool:
    """Whether bars are seen as such: on a terminal, and in a notebook, whose stderr is none."""
    return sys.stderr.isatty() or in_notebook()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Nothing is imported for it: there, IPython is loaded."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def lock_bars_by_threads() -> None:
    """Let bars of this process, whosesoever they are, make no semaphore, which is for processes that share a terminal.

    For a worker that draws none and is killed at the end: torch's compiler makes a bar, and Python would warn
    that the semaphore leaked.
    """
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())


def bars() -> type[tqdm[Any]]:
    """Return tqdm's bars for where this runs; in a notebook widgets, or text where ipywidgets is not installed."""
    if not in_notebook():
        from tqdm import tqdm

        return tqdm
    with warnings.catch_warnings():  # that ipywidgets is missing: text does as well
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm as widgets
    kind: type[tqdm[Any]] = widgets
    return kind


def say(line: str) -> None:
    """Write a line to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def span(seconds: float) -> str:
    """Return a time as bars write it: ``2:05``, ``1:00:00``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True)
class Progress:
    """A bar for each phase of some work, which goes away at its end; in a pipe lines. Nothing unless `shown`."""

    title: str = ""
    shown: bool = False
    clock: Clock = field(default_factory=Clock, compare=False)

    def begins(self, what: str) -> None:
        """Say that some work begins, in a pipe alone: elsewhere its bars do."""
        if self.shown and not has_bars():
            say(self._named(what))

    @contextmanager
    def phase(self, what: str, total: float, unit: str = "row") -> Iterator[Callable[[float], object]]:
        """Yield a function that is told how much more of `total` is done."""
        with bar(
            self._named(what),
            total,
            shown=self.shown,
            unit=unit,
            clock=self.clock,
            unit_scale=True,
            bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}, {remaining} left",
            leave=False,
            delay=SECONDS,
            miniters=0,
        ) as done:
            yield done.update

    def _named(self, what: str) -> str:
        return f"{self.title}: {what}" if self.title else what


SILENT = Progress()
"""The default of every function: only the command line shows something."""
