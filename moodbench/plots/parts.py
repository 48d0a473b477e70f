"""Parts that several kinds of plots are put together from: colours, panels, names that fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from moodbench.plots.base import plain
from moodbench.plots.letters import SMALL, in_lines, widest, wrapped

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#882255", "#44403c")
"""Of what stands side by side in one panel: Okabe and Ito's colours, which colour-blind readers tell apart, without
their yellow, which is hardly seen on white, and with a wine red and a black."""

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (4, 1, 1, 1)))
"""Of lines, so that colour is not all that tells them apart."""

MOST = len(PALETTE)

ID_COLOUR, OOD_COLOUR = PALETTE[0], PALETTE[1]
GREY, PALE = "#667085", "#e4e7ec"

CHANCE = 50.0
CHANCE_LINE: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": (0, (4, 3))}

LEGEND = 6.5
"""Letters of a legend, in points."""

REMARK = 6.5
"""Letters of what is said below a picture, in points."""

LINE = 0.125
"""Inches from a line of a legend, or of remarks, to the next."""


def line_look(number: int) -> dict[str, Any]:
    """Return colour and dashes of a line, by its number."""
    return {"color": PALETTE[number % MOST], "ls": DASHES[number % len(DASHES)]}


def sheet(
    width: float | None, bodies: Sequence[float], *, legend: Sequence[Artist] = (), remarks: Iterable[str] = ()
) -> tuple[Figure, list[SubFigure]]:
    """Return a figure as wide as asked for, and its parts, one below the other, as high as asked for.

    Below them stand a legend, in as many columns as there is room for, and remarks in small letters.

    Parameters
    ----------
    width : float
        In inches; None is for plots that are as large as their content needs, which do without this.
    bodies : sequence of float
        Heights in inches.
    legend : sequence of artists with labels
    remarks : iterable of str
    """
    assert width is not None
    across = _entries_across([plain(str(artist.get_label())) for artist in legend], width)
    legend_height = LINE * _lines_of(legend, across, width) + (0.03 if legend else 0.0)
    small = "\n".join(wrapped(line, 0.98 * width, REMARK) for line in remarks)
    remarks_height = LINE * (small.count("\n") + 1) + 0.04 if small else 0.0
    foot_height = legend_height + remarks_height + 0.03
    heights = [*bodies, foot_height]
    figure = Figure(figsize=(width, sum(heights)), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    *parts, foot = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if legend:
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
        spacing = {"columnspacing": 1.2, "handletextpad": 0.4, "handlelength": 1.8, "labelspacing": 0.35}
        foot.legend(handles=list(legend), ncols=across, borderpad=0.2, **place, **spacing)
    if small:
        foot.text(0.01, 0.03 / foot_height, small, fontsize=REMARK, color=GREY, va="bottom", linespacing=1.25)
    return figure, parts


_HANDLE, _APART = 0.25, 0.11
"""Inches of what stands before a name in a legend, and between its columns."""


def _entries_across(names: Sequence[str], width: float) -> int:
    """Return in how many columns entries stand, filled from the first one down, so that each is as wide as it needs."""
    for across in range(len(names), 1, -1):
        rows = math.ceil(len(names) / across)
        columns = [names[at : at + rows] for at in range(0, len(names), rows)]
        room = sum(_HANDLE + _APART + widest(column, LEGEND) for column in columns)
        if room <= width and len(columns) == across:
            return across
    return 1


def _lines_of(legend: Sequence[Artist], across: int, width: float) -> int:
    """Part the entries of a legend that are longer than a line, and return how many lines it takes."""
    if across > 1 or not legend:
        return math.ceil(len(legend) / across)
    for artist in legend:
        unescaped = str(artist.get_label()).replace(r"\$", "$")
        artist.set_label(wrapped(unescaped, width - _HANDLE - 0.05, LEGEND))
    return sum(str(artist.get_label()).count("\n") + 1 for artist in legend)


def panels_across(width: float, count: int, narrowest: float = 1.3) -> int:
    """Return how many of so many panels stand side by side: as many as fit, but fewer where rows then are as full."""
    most = max(1, min(count, int(width / narrowest)))
    return math.ceil(count / math.ceil(count / most))


def panels(figure: FigureBase, count: int, across: int, *, share_y: bool = False) -> list[Axes]:
    """Return so many axes in rows of `across`, with equal scales on x; places that are left in the last row stay empty.

    Only the lowest of each column has numbers on x.
    """
    rows = math.ceil(count / across)
    grid = figure.subplots(rows, across, sharex=True, sharey=share_y, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= count:
            axes.remove()
        elif place + across >= count:
            axes.tick_params(labelbottom=True)
    return list(grid.flat)[:count]


def below_hundred(axes: Axes) -> None:
    """Let a scale of percent end little above 100."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, 100 + 0.05 * (100 - low)))


def heading(figure: FigureBase, text: str, width: float, size: float = 7.5) -> None:
    """Put a title over the whole figure, in as many lines as it needs."""
    lines = wrapped(text, 0.98 * width, size, bold=True)
    figure.suptitle(lines, x=0.01, ha="left", fontsize=size, weight="bold")


def heading_height(text: str, width: float, size: float = 7.5) -> float:
    """Return the inches that `heading` takes."""
    return 0.03 + 1.25 * size / 72 * len(in_lines(text, 0.98 * width, size, bold=True))


def panel_title(axes: Axes, text: str, inches: float, numbers: str = "") -> None:
    """Put a title over one panel, and below it numbers on a line of their own: there they hide nothing drawn."""
    lines = wrapped(numbers, inches) if numbers else ""
    count = lines.count("\n") + 1 if lines else 0
    axes.set_title(wrapped(text, inches, 7), fontsize=7, pad=3 + 7.8 * count)
    if lines:
        at: dict[str, Any] = {"xycoords": "axes fraction", "xytext": (0, 2.5), "textcoords": "offset points"}
        axes.annotate(lines, (0.5, 1), ha="center", va="bottom", fontsize=SMALL, linespacing=1.1, color=GREY, **at)
