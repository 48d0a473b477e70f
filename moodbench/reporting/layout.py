"""Where pictures stand: what is wide has a line for itself, the others stand in two columns that end together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TypeVar

T = TypeVar("T")

MOST = 12
"""Pictures of which every way to part them is tried; of more, each goes below the shorter column."""


def two_columns(items: Sequence[T], heights: Sequence[float]) -> tuple[list[T], list[T]]:
    """Return items parted into two columns of heights as equal as can be, in their order, the first one on the left.

    Parameters
    ----------
    items : sequence
    heights : sequence of float
        Of each item, in any unit.
    """
    numbers = range(len(items))
    left: set[int] = set()
    if len(items) > MOST:
        sums = [0.0, 0.0]
        for number in numbers:
            side = 0 if sums[0] <= sums[1] else 1
            sums[side] += heights[number]
            left |= {number} if side == 0 else set()
    elif items:
        ways = [{0, *rest} for size in numbers for rest in combinations(numbers[1:], size)]
        left = min(ways, key=lambda way: abs(2 * sum(heights[number] for number in way) - sum(heights)))
    return [items[n] for n in numbers if n in left], [items[n] for n in numbers if n not in left]
