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

from moodbench.plots.given import Array
from moodbench.plots.parts import PALE, SMALL, letters_in, sheet, wrapped
from moodbench.plots.parts import heading as put_heading

LETTER = 0.56 * SMALL / 72
"""Inches that a small letter takes up."""

NUMBER = 4 * LETTER + 0.03
"""Inches across a cell with a number."""

NAMED = 0.1
"""Inches across a column with a name, which then stands upright."""


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
    longest = max(map(len, matrix.rows))
    label = min(longest * LETTER * 1.1 + 0.08, 0.42 * width)
    cell = (width - label - 0.1) / len(matrix.columns)
    numbered, doubled = cell >= NUMBER, cell >= NUMBER + 2 * LETTER and any(s for line in matrix.words for _, s in line)
    names = [wrapped(name, letters_in(label, SMALL)) for name in matrix.rows]
    lines = max(name.count("\n") + 1 for name in names)
    high = max(0.105 * lines + 0.02, 0.25 if doubled else 0.15 if numbered else 0.105)
    named = cell >= NAMED
    upright = max(map(len, matrix.columns)) * LETTER * 1.1 > cell
    above = (min(max(map(len, matrix.columns)) * LETTER * 1.1, 1.6) if upright else 0.14) if named else 0.0
    remarks = [*remarks, *([] if named else ["Columns stand in the order of the rows."])]
    figure, (part,) = sheet(
        width, [high * len(matrix.rows) + above + 0.62 + (0.16 if heading else 0.0)], remarks=remarks
    )
    if heading:
        put_heading(part, heading, width)
    axes = part.subplots()
    scale = colormaps[colours].with_extremes(bad="white")
    axes.pcolormesh(
        np.ma.masked_invalid(matrix.values), cmap=scale, norm=norm, edgecolors="white", lw=0.4 if named else 0
    )
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=SMALL)
    columns = [wrapped(name, 34) for name in matrix.columns] if named else []
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=SMALL, rotation=90 if upright else 0)
    axes.tick_params(length=0, labeltop=True, labelbottom=False, pad=2)
    for side in axes.spines.values():
        side.set_visible(False)
    if numbered:
        _write(axes, matrix, scale, norm, doubled=doubled)
    bar = part.colorbar(
        ScalarMappable(norm, scale), ax=axes, orientation="horizontal", shrink=0.5, aspect=40, pad=0.02, anchor=(0, 0)
    )
    bar.outline.set_edgecolor(PALE)
    bar.set_label(about if doubled else about.partition(" ±")[0], fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, length=1.5)
    return figure


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
