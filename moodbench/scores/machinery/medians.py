"""Medians along many directions at once, and median distances from them, in constant memory and three passes.

The first pass counts rows on a coarse grid, which names the cell of every rank; the second counts the rows of these
cells on a fine one. The distances of rows from the median are known to two cells from the first count already, so a
third pass, which takes the distances themselves, needs the fine grid alone. Counts merge by addition.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from typing import Any, Self

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Statistic

Values = Callable[[Block], Tensor]
"""Block → (B, U) float32: a number for each row and direction."""

REACH = 3.0
"""The grid reaches so many standard deviations to both sides of the mean. A median lies within one of it, and the
median distance from that is at most two: what lies outside is only counted."""

COARSE, FINE = 4096, 1024
"""Cells of the grid, and of the part of it that holds a rank."""

CELL = 2 * REACH / COARSE
"""Width of a cell of the coarse grid."""

RESOLUTION = 2 * CELL / FINE
"""To this many standard deviations medians and distances are known: 3e-6, about what float32 can tell apart."""


class WindowCounts(Statistic[Tensor]):
    """How many rows lie in each cell of a window along each of U directions, and before and behind it.

    The value is (U, cells + 2) int64, the first column being the rows before the window, the last those behind.

    Parameters
    ----------
    name : hashable
        What the numbers are and where the windows lie: equal names must mean equal counts.
    values : callable
        Block → (B, U) float32.
    low : (U,)
        Where the window begins along each direction.
    width : float
        How wide it is, along all of them.
    cells : int
        Its number of cells.
    """

    def __init__(self, name: Hashable, values: Values, low: Tensor, width: float, cells: int) -> None:
        self.name, self.values, self.cells = name, values, cells
        self._low, self._scale = low.float(), cells / width
        self._counts: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("window_counts", self.name, self.cells)

    def update(self, block: Block) -> None:
        columns, directions = self.cells + 2, len(self._low)
        place = (self.values(block) - self._low).mul_(self._scale).floor_().add_(1).clamp_(0, columns - 1)
        # a direction after the other, so that its counters stay in the cache
        first = torch.arange(0, columns * directions, columns, device=place.device)
        cells = place.T.contiguous().long().add_(first[:, None])
        self._add(torch.bincount(cells.view(-1), minlength=columns * directions).view(directions, columns))

    def _add(self, counts: Tensor) -> None:
        self._counts = counts if self._counts is None else self._counts.add_(counts)

    def merge(self, other: Self) -> None:
        if other._counts is not None:
            self._add(other._counts.clone())

    def finalize(self) -> Tensor:
        if self._counts is None:
            raise ValueError("no rows were seen")
        return self._counts


def median_and_deviation(
    name: Hashable, values: Values, directions: int, device: torch.device
) -> Generator[tuple[Statistic[Any], ...], Any, tuple[Tensor, Tensor]]:
    """Return (with ``yield from``, inside a fit) median, and median distance from it, (U,) float64 each.

    Parameters
    ----------
    name : hashable
        What the numbers are.
    values : callable
        Block → (B, U) float32, numbers of mean 0 and variance 1 along each direction.
    directions : int
        U.
    device : torch.device
        Where blocks live.

    Notes
    -----
    As NumPy's `median`, the mean of the two middle ones where there are two. Both are exact to `RESOLUTION`.
    """
    start = torch.full((directions,), -REACH, dtype=torch.float64, device=device)
    (coarse,) = yield (WindowCounts((name, "all"), values, start, 2 * REACH, COARSE),)
    rows = int(coarse[0].sum())
    ranks = sorted({(rows - 1) // 2, rows // 2})
    cells = [_place(coarse, rank) for rank in ranks]
    windows = [start + (cell - 1) * CELL for cell in cells]
    counts = yield tuple(
        WindowCounts((name, "median", rank), values, low, CELL, FINE) for rank, low in zip(ranks, windows, strict=True)
    )
    median = _mean_of_ranks(counts, ranks, windows, CELL)

    # a row of one cell lies as far from the median as the cells do, but for one cell's width
    apart = (2 * torch.arange(COARSE + 2, device=device) - (cells[0] + cells[-1])[:, None]).abs_()  # in half cells
    folded = coarse.new_zeros(directions, 2 * (COARSE + 2)).scatter_add_(1, apart, coarse)
    windows = [(_place(folded, rank) / 2 - 1) * CELL for rank in ranks]
    middle = median.float()
    counts = yield tuple(
        WindowCounts((name, "deviation", rank), lambda block: (values(block) - middle).abs_(), low, 2 * CELL, FINE)
        for rank, low in zip(ranks, windows, strict=True)
    )
    return median, _mean_of_ranks(counts, ranks, windows, 2 * CELL)


def _place(counts: Tensor, rank: int) -> Tensor:
    """Return the column that holds the row of a rank (from 0) in each line, (U,) int64."""
    wanted = torch.full((len(counts), 1), rank, dtype=counts.dtype, device=counts.device)
    return torch.searchsorted(counts.cumsum(dim=1), wanted, right=True)[:, 0]


def _mean_of_ranks(counts: tuple[Tensor, ...], ranks: list[int], windows: list[Tensor], width: float) -> Tensor:
    """Return the mean over ranks of the middle of the cell that holds each of them, (U,) float64."""
    middles = [
        low + (_place(found, rank).double() - 0.5).clamp(0, FINE) * (width / FINE)
        for found, rank, low in zip(counts, ranks, windows, strict=True)
    ]
    return torch.stack(middles).mean(dim=0)
