"""Names along the axis of a grid, level where neighbours keep apart, and legends that keep families together."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

from moodbench.plots.base import plain
from moodbench.plots.letters import in_lines, shortened, widest

T = TypeVar("T")

APART = 0.05
"""Inches between names that stand side by side, at least."""

WHOLE = 16
"""Entries of a block that is never parted."""

LONGEST = 1.5
"""Inches of a name that does not stand level, at most."""


@dataclass(frozen=True)
class Names:
    """Names as they are written.

    Attributes
    ----------
    texts : list of str
    angle : int
        How far from level, in degrees.
    raised : int
        By how many lines every second one stands higher.
    """

    texts: list[str]
    angle: int
    raised: int = 0

    def height(self, size: float) -> float:
        """Return how high the highest is, in points."""
        if not self.angle:
            return 1.25 * size * (self.raised + max(text.count("\n") + 1 for text in self.texts))
        return size + 72 * widest(self.texts, size) * math.sin(math.radians(self.angle))


def side_by_side(names: Sequence[str], rooms: Sequence[float], size: float, *, slanted: bool) -> Names:
    """Return names so that none meets its neighbour.

    Parameters
    ----------
    names : sequence of str
    rooms : sequence of float
        Inches of the part of the axis that each stands in the middle of.
    size : float
        Points.
    slanted : bool
        Names that do not fit level are slanted where there is room for that; others stand by turns on two levels. What
        does not fit so either stands upright.
    """
    lines = [
        _parted(name, max(room - APART, _longest_part(name, size)), size)
        for name, room in zip(names, rooms, strict=True)
    ]
    wide = [widest(some, size) for some in lines]
    ends = all(wide[at] <= rooms[at] + 0.1 for at in (0, -1))
    level = ["\n".join(map(plain, some)) for some in lines]
    if ends and _apart(wide, rooms, 1):
        return Names(level, 0)
    if ends and not slanted and _apart(wide, rooms, 2):
        return Names(level, 0, raised=max(map(len, lines[::2])))
    angle = next((angle for angle, least in ((30, 2.1), (45, 1.5)) if min(rooms) * 72 >= least * size), 90)
    return Names([shortened(name, LONGEST, size) for name in names], angle if slanted else 90)


def _apart(wide: Sequence[float], rooms: Sequence[float], step: int) -> bool:
    """Whether every name keeps apart from the one so many places on."""
    ends = list(accumulate(rooms))
    middles = [end - room / 2 for end, room in zip(ends, rooms, strict=True)]
    return all(
        (wide[i] + wide[i + step]) / 2 + APART <= middles[i + step] - middles[i] for i in range(len(wide) - step)
    )


def _longest_part(name: str, size: float) -> float:
    return widest(re.findall(r"[^\s-]+-?|-", name) or [""], size)


def _parted(name: str, inches: float, size: float) -> list[str]:
    """Return a name in lines: variant and head (behind @ and +) on lines of their own, so that they do not run on."""
    return [line for part in re.split(r" (?=[@+])", name) for line in in_lines(part, inches + 0.01, size)]


def packed(blocks: Sequence[Sequence[T]], columns: int, blank: Callable[[], T]) -> list[list[T]]:
    """Return columns of equal height in which blocks are whole, or, where one is higher, begin at the top.

    Parameters
    ----------
    blocks : sequences of entries
    columns : int
        At most.
    blank : callable
        Makes an entry that fills a column up.
    """
    high = min(max(map(len, blocks), default=1), WHOLE)
    while len(found := _poured(blocks, high)) > columns:
        high += 1
    high = max(map(len, found))
    if len(found) == 1:
        return found
    return [[*column, *(blank() for _ in range(high - len(column)))] for column in found]


def _poured(blocks: Sequence[Sequence[T]], high: int) -> list[list[T]]:
    found: list[list[T]] = [[]]
    for block in blocks:
        if len(found[-1]) + len(block) <= high:
            found[-1] += block
        else:
            parts = [list(block[at : at + high]) for at in range(0, len(block), high)]
            found = [*found, *parts] if found[-1] else parts if len(found) == 1 else [*found[:-1], *parts]
    return found
