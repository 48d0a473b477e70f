"""Average ranks of many: a line with a dot for each, the best above, and the critical difference as a bar."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from moodbench.plots.base import plain
from moodbench.plots.diagram import Diagram, axis_ticks
from moodbench.plots.letters import SMALL, in_lines, inches_of, widest
from moodbench.plots.parts import GREY, PALE, PALETTE

NAME = 6.5
"""Points of a name, and of a rank."""

LINE, TOP = 0.108, 0.42
"""Inches: a line of a name; from the top to the first, for the critical difference and the numbers of the axis."""

SIDE = 0.42
"""Share of the width that names take, at most."""

EDGE = 0.05
"""Inches beside names and ranks."""

SHADE = "#fdeee3"
"""Behind what is not told apart from the best."""


def _lines(one: Diagram, place: int, width: float) -> list[str]:
    return in_lines(one.names[one.order[place]], SIDE * width, NAME)


def dots_height(one: Diagram, width: float) -> float:
    """Return the inches that `draw_dots` needs in a picture so wide."""
    return TOP + LINE * sum(len(_lines(one, place, width)) for place in range(len(one.order))) + EDGE


def draw_dots(axes: Axes, one: Diagram, width: float, height: float) -> None:
    """Draw in inches: x to the right, y down."""
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    k = len(one.order)
    names = [_lines(one, place, width) for place in range(k)]
    left = widest([line for lines in names for line in lines], NAME) + 2 * EDGE + 0.03
    right = width - inches_of(f"{one.ranks[-1]:.2f}", NAME) - 2 * EDGE - 0.03
    step = (right - left) / (k - 1)

    def x(rank: float) -> float:
        return left + step * (rank - 1)

    bottom = height - EDGE / 2
    best, critical = one.ranks[0], one.found.critical_difference
    end = min(x(best + critical), right + EDGE)
    axes.add_patch(Rectangle((x(best), TOP), end - x(best), bottom - TOP, color=SHADE, lw=0, zorder=0))
    ticks, numbers = axis_ticks(k, step)
    for tick in numbers:
        axes.plot([x(tick), x(tick)], [TOP - 0.03, bottom], color=PALE, lw=0.5, zorder=1)
        axes.text(x(tick), TOP - 0.04, str(tick), ha="center", va="bottom", fontsize=SMALL)
    axes.plot([x(1), x(k)], [TOP, TOP], color="black", lw=0.8)
    for tick in ticks:
        axes.plot([x(tick), x(tick)], [TOP, TOP - 0.03], color="black", lw=0.6)
    beyond = ", wider than the axis" if critical > k - best else ""
    _critical(axes, x(best), end, f"CD {critical:.2f}{beyond}", width)
    y = TOP + EDGE / 2
    for rank, lines in zip(one.ranks, names, strict=True):
        middle = y + LINE * len(lines) / 2
        axes.plot([left - 0.03, x(rank)], [middle, middle], color=PALE, lw=0.6, zorder=1)
        filled = PALETTE[0] if rank < best + critical else "white"
        axes.plot([x(rank)], [middle], marker="o", ms=3.2, mfc=filled, mec=PALETTE[0], mew=0.7, zorder=4)
        look: dict[str, Any] = {"va": "center_baseline", "fontsize": NAME, "linespacing": 1.05}
        axes.text(left - EDGE - 0.03, middle, "\n".join(map(plain, lines)), ha="right", **look)
        axes.text(width - EDGE, middle, f"{rank:.2f}", ha="right", color=GREY, **look)
        y += LINE * len(lines)


def _critical(axes: Axes, start: float, end: float, words: str, width: float) -> None:
    """Draw the critical difference above the axis, from the best rank on, with its words above it."""
    axes.plot([start, end], [0.17, 0.17], color=PALETTE[1], lw=1.2)
    for at in (start, end):
        axes.plot([at, at], [0.14, 0.2], color=PALETTE[1], lw=1.2)
    half = inches_of(words, SMALL) / 2
    middle = min(max((start + end) / 2, half), width - half)
    axes.text(middle, 0.12, words, ha="center", va="bottom", fontsize=SMALL)
