"""What a picture of average ranks shows, and the ticks of its axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moodbench.average_ranks import AverageRanks
from moodbench.plots.letters import SMALL, inches_of

TICK = 0.03
"""Inches from a tick of the axis to the next, at least."""


@dataclass(frozen=True)
class Diagram:
    """What one panel shows.

    Attributes
    ----------
    kind, over : str
        Models or scores, and what their numbers are means over.
    datasets : int
    names : sequence of str, (k,)
    found : AverageRanks
    order : sequence of int
        The entrants, best first.
    """

    kind: str
    over: str
    datasets: int
    names: Sequence[str]
    found: AverageRanks
    order: Sequence[int]

    @property
    def ranks(self) -> list[float]:
        """The average ranks, rising."""
        return [float(self.found.ranks[i]) for i in self.order]

    @property
    def alike(self) -> list[tuple[int, int]]:
        """First and last place of each group of entrants that are not told apart, and are in no larger one."""
        ranks = np.array(self.ranks)
        last = np.searchsorted(ranks, ranks + self.found.critical_difference, side="left") - 1
        runs = [(first, int(end)) for first, end in enumerate(last) if end > first]
        return [run for number, run in enumerate(runs) if number == 0 or run[1] > runs[number - 1][1]]


def axis_ticks(k: int, step: float) -> tuple[list[int], list[int]]:
    """Return the ranks that have a tick, and those of them that have a number.

    Every rank has a tick, or, where these stood too close, every second, fifth, …. Numbers are at every tick that has
    room, else at round ones; the first and the last rank always have one.

    Parameters
    ----------
    k : int
        The last rank.
    step : float
        Inches from a rank to the next.
    """
    steps = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]
    room = inches_of("0" * len(str(k)), SMALL) + 0.05
    fine = next(one for one in steps if one * step >= TICK)
    coarse = next(one for one in steps if one * step >= room and one % fine == 0)
    ticks = {1, k, *range(fine, k, fine)}
    inner = [one for one in range(coarse, k, coarse) if (one - 1) * step >= room and (k - one) * step >= room]
    return sorted(ticks), sorted({1, k, *inner})
