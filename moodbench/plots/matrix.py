"""A matrix of numbers as colours, with the numbers themselves where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from moodbench.plots.given import Array
from moodbench.plots.letters import SMALL, shortened, widest, wrapped
from moodbench.plots.parts import PALE, heading_height, sheet
from moodbench.plots.parts import heading as put_heading

NAMED = 0.1
"""Inches across a column with a name, which then stands upright."""

LINE = 0.1
"""Inches of a line of a name."""

DENSE = 0.089
"""Inches of a row with a name and no number: the least in which letters do not meet."""

TALLEST = 1.3
"""Inches of a name that stands upright, at most."""

NUMBER = 0.42
"""Inches of a number of the scale of colours, with what keeps it from the next."""

SCALE = 0.42
"""Inches that the scale of colours takes with its numbers."""


@dataclass(frozen=True)
class Matrix:
    """Numbers with names of rows and columns.

    Attributes
    ----------
    rows, columns : sequence of str
    values : (R, K) float64
        NaN where there is none.
    words : R sequences of K pairs of str
        What stands in each cell: a number, and what stands below it where there is more room.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    words: Sequence[Sequence[tuple[str, str]]]

    def turned(self) -> Matrix:
        """Return the same with rows and columns exchanged."""
        return Matrix(self.columns, self.rows, self.values.T, list(zip(*self.words, strict=True)))


def matrix_figure(
    matrix: Matrix,
    width: float | None,
    *,
    heading: str,
    norm: Normalize,
    colours: str,
    about: str,
    remarks: Sequence[str] = (),
) -> Figure:
    """Return the figure of a matrix: as wide as asked for, and as high as its rows need.

    Cells that are too narrow for numbers have colours alone, and columns that are too narrow for names have none and
    stand in the order of the rows. What follows " ±" in `about` is left out where cells have one number.
    """
    assert width is not None
    label = min(widest(matrix.rows, SMALL), 0.42 * width)
    cell = (width - label - 0.14) / len(matrix.columns)
    first, second = (widest([words[i] for line in matrix.words for words in line], SMALL) for i in (0, 1))
    numbered = cell >= first + 0.04
    doubled = numbered and second > 0 and cell >= second + 0.04
    names = [wrapped(name, label + 0.01) for name in matrix.rows]
    named = cell >= NAMED
    columns, upright = _columns(matrix.columns, cell) if named else ([], False)
    above = min(widest(matrix.columns, SMALL), TALLEST) if upright else LINE * max(map(_lines, columns), default=0)
    least = 0.24 if doubled else 0.14 if numbered else DENSE
    high = max(least, *(DENSE if _lines(name) == 1 else LINE * _lines(name) + 0.02 for name in names))
    remarks = [*remarks, *([] if named else ["Columns stand in the order of the rows."])]
    body = high * len(matrix.rows) + above + 0.1 + SCALE + heading_height(heading, width)
    figure, (part,) = sheet(width, [body], remarks=remarks)
    put_heading(part, heading, width)
    grid = part.add_gridspec(2, 1, height_ratios=[high * len(matrix.rows), 0.06], hspace=0)
    axes = part.add_subplot(grid[0])
    scale = colormaps[colours].with_extremes(bad="white")
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(matrix.values), cmap=scale, norm=norm, edgecolors="white", lw=0.4 if named else 0
    )
    mesh.set_clip_on(False)  # it fills the axes; in SVG the clip would be called by a number that changes
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=SMALL, linespacing=1.0)
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, columns, fontsize=SMALL, rotation=90 if upright else 0, linespacing=1.0
    )
    axes.tick_params(length=0, labeltop=True, labelbottom=False, pad=2)
    for side in axes.spines.values():
        side.set_visible(False)
    if numbered:
        _write(axes, matrix, scale, norm, doubled=doubled)
    below = part.add_subplot(grid[1])
    bar = part.colorbar(ScalarMappable(norm, scale), cax=below, orientation="horizontal")
    bar.outline.set_edgecolor(PALE)
    bar.set_label(about if doubled else about.partition(" ±")[0], fontsize=SMALL, labelpad=1)
    bar.locator = MaxNLocator(max(2, int(cell * len(matrix.columns) / NUMBER)))
    bar.update_ticks()
    bar.ax.tick_params(labelsize=SMALL, length=1.5, pad=1.5)
    return figure


def _lines(name: str) -> int:
    return name.count("\n") + 1


def _columns(names: Sequence[str], cell: float) -> tuple[list[str], bool]:
    """Return names of columns as they are written, and whether they stand upright: where words do not fit a cell."""
    words = [word for name in names for word in name.split()]
    level = [wrapped(name, cell - 0.04) for name in names]
    if widest(words, SMALL) <= cell - 0.04 and max(map(_lines, level)) <= 3:
        return level, False
    lines = max(1, int(cell / LINE))
    parted = [wrapped(name, TALLEST) for name in names]
    fits = all(_lines(name) <= lines for name in parted)
    return parted if fits else [shortened(name, TALLEST) for name in names], True


def _write(axes: Axes, matrix: Matrix, scale: Colormap, norm: Normalize, *, doubled: bool) -> None:
    for y, line in enumerate(matrix.words):
        for x, (first, second) in enumerate(line):
            value = matrix.values[y, x]
            if np.isfinite(value):
                red, green, blue, _ = scale(norm(value))
                light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
                text = f"{first}\n{second}" if doubled and second else first
                axes.text(
                    x + 0.5,
                    y + 0.5,
                    text,
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    linespacing=1.05,
                    color="#101828" if light else "white",
                )
