"""How far long work is, and how much time is left, on stderr where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

SECONDS = 1.0
"""Work that is done sooner shows nothing."""


@dataclass(frozen=True)
class Progress:
    """A bar for each phase of some work, which goes away at its end; nothing unless `shown`, and in a pipe."""

    title: str = ""
    shown: bool = False

    @contextmanager
    def phase(self, what: str, total: float, unit: str = "row") -> Iterator[Callable[[float], object]]:
        """Yield a function that is told how much more of `total` is done."""
        with tqdm(
            total=total,
            desc=f"{self.title}: {what}" if self.title else what,
            unit=unit,
            unit_scale=True,
            bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}, {remaining} left",
            leave=False,
            delay=SECONDS,
            miniters=0,
            disable=None if self.shown else True,
        ) as bar:
            yield bar.update


SILENT = Progress()
"""The default of every function: only the command line shows something."""
