"""How far the files are: a protocol, silence, bars on a terminal or in a notebook, else lines."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from moodbench.progress import Clock, bars, has_bars, say
from moodbench.sizes import human_bytes, many

if TYPE_CHECKING:
    from tqdm import tqdm

SMALL = 4 << 20
"""Smaller files get no bar of their own: it would only flicker."""


class Meter(Protocol):
    """Is told about files on their way. Each thread tells of one file at a time."""

    def begin(self, name: str, done: int, total: int | None) -> None:
        """`done` bytes of the file `name` are here, of `total` if that is known. May come again for the same file."""

    def advance(self, count: int) -> None:
        """`count` more bytes are here."""

    def end(self) -> None:
        """No more of this file for now."""


class _Silent:
    def begin(self, name: str, done: int, total: int | None) -> None:
        pass

    def advance(self, count: int) -> None:
        pass

    def end(self) -> None:
        pass


SILENT: Meter = _Silent()
"""Says nothing."""


class Bars:
    """One bar for each file on its way and one for all of them below, on stderr; where there is no terminal, lines.

    A line a minute says how much is here of all files, or of the one.

    Parameters
    ----------
    files : int
        How many files will come; the common bar is for two or more.
    total : int or None
        Their size together in bytes, where it is known.
    lines : int
        How many of them may come at the same time.
    progress : bool
        False: say nothing.
    """

    def __init__(self, *, files: int = 1, total: int | None = None, lines: int = 1, progress: bool = True) -> None:
        self.shown = progress and has_bars()
        self._free = list(range(lines))
        self._guard = threading.RLock()
        self._own = threading.local()
        self._counted: dict[str, int] = {}
        self._all = self._bar("all files", lines, 0, total) if self.shown and files > 1 else None
        self._files, self._total = files, total
        self._clock = Clock() if progress and not self.shown else None

    @property
    def done(self) -> int:
        """Bytes of all files that are here."""
        with self._guard:
            return sum(self._counted.values())

    def begin(self, name: str, done: int, total: int | None) -> None:
        """Show a file of which `done` bytes are here already."""
        self.end()
        with self._guard:
            self._own.name = name
            if self._files == 1 and total is not None:
                self._total = total
            self._count(name, done - self._counted.get(name, 0))
            if self.shown and self._free and (total is None or total >= SMALL):
                self._own.line = self._free.pop(0)
                self._own.bar = self._bar(name, self._own.line, done, total)

    def advance(self, count: int) -> None:
        """Move the bar of this thread's file, and the common one."""
        with self._guard:
            self._count(self._own.name, count)
            if self._own.bar is not None:
                self._own.bar.update(count)
            if self._clock is not None and self._clock.due():
                say(self._line())

    def end(self) -> None:
        """Take the bar of this thread's file away."""
        with self._guard:
            if getattr(self._own, "bar", None) is not None:
                self._own.bar.close()
                self._free = sorted([*self._free, self._own.line])
            self._own.bar = None

    def close(self) -> None:
        """Take the common bar away."""
        if self._all is not None:
            self._all.close()

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self.close()

    def _line(self) -> str:
        """Return how much is here, in one line; of a total that is too small, as lists of others may say, no share."""
        what = self._own.name if self._files == 1 else f"{many(self._files, 'file')}, now {self._own.name}"
        done = sum(self._counted.values())
        if not self._total or done > self._total:
            return f"{what}: {human_bytes(done)}"
        return f"{what}: {human_bytes(done)} of {human_bytes(self._total)}, {100 * done / self._total:.0f} %"

    def _count(self, name: str, count: int) -> None:
        self._counted[name] = self._counted.get(name, 0) + count
        if self._all is not None:
            self._all.update(count)

    def _bar(self, name: str, line: int, done: int, total: int | None) -> tqdm[Any]:
        return bars()(
            desc=name,
            initial=done,
            total=total,
            position=line,
            leave=False,
            unit="B",
            unit_scale=True,
            disable=False,
            dynamic_ncols=True,
        )
