"""Points with names beside them: each name where it hides nothing, and left out where there is no such place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from moodbench.plots.base import plain
from moodbench.plots.letters import SMALL, cut, inches_of

Box = tuple[float, float, float, float]

PLACES = (
    *((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)),
    *((1, 2), (-1, 2), (1, -2), (-1, -2), (2, 0), (-2, 0), (2, 2), (-2, 2), (2, -2), (-2, -2)),
)
"""Where a name may stand: to the right, to the left, above, …; in what order they are tried."""

GAP = 4.0
"""Points (1/72 inch) between a marker and its name."""

ROOM = 0.6
"""Points that a name keeps from everything else."""

LONGEST = 0.4
"""Share of the axes that a name takes across at most; what is longer ends in "…"."""


def name_points(
    figure: Figure, axes: Axes, xs: Sequence[float], ys: Sequence[float], names: Sequence[str]
) -> list[str]:
    """Write a name beside each point of a laid out figure, away from all markers and lines; return those left out.

    Names that are longer than `LONGEST` lose their end.
    """
    scale = 72 / figure.dpi
    spots = [tuple(float(v) * scale for v in axes.transData.transform((x, y))) for x, y in zip(xs, ys, strict=True)]
    window = axes.get_window_extent()
    inside = tuple(float(v) * scale for v in (window.x0, window.y0, window.x1, window.y1))
    names = [cut(name, LONGEST * (inside[2] - inside[0]) / 72) for name in names]
    lines = _lines(axes, scale)
    taken: list[Box] = [(x - 2.7, y - 2.7, x + 2.7, y + 2.7) for x, y in spots] + lines
    left = []
    for number, ((x, y), name) in enumerate(zip(spots, names, strict=True)):
        for right, up in (*(_shift(*place) for place in PLACES), *_beyond(x, y, lines)):
            box = _box(x, y, name, right, up)
            within = box[0] >= inside[0] and box[2] <= inside[2] and box[1] >= inside[1] and box[3] <= inside[3]
            if within and not any(_meet(box, other) for other in taken):
                taken.append(box)
                axes.annotate(
                    plain(name),
                    (xs[number], ys[number]),
                    xytext=(right, up),
                    textcoords="offset points",
                    ha="left" if right > 0 else "right" if right < 0 else "center",
                    va="center" if right else ("bottom" if up > 0 else "top"),
                    fontsize=SMALL,
                    color="#344054",
                    zorder=5,
                ).set_in_layout(False)
                break
        else:
            left.append(name)
    return left


def _shift(right: int, up: int) -> tuple[float, float]:
    """Return how far a name's edge is from the middle of its marker, in points."""
    return GAP * right, GAP * up * 0.9 if right else GAP * up


def _beyond(x: float, y: float, lines: Sequence[Box]) -> list[tuple[float, float]]:
    """Return the places above and below the interval through a point: there too it is seen whose name it is."""
    own = [line for line in lines if max(abs(line[0] - x), abs(line[2] - x)) < 0.1 and line[1] <= y <= line[3]]
    if not own:
        return []
    return [(0.0, max(line[3] for line in own) - y + GAP / 2), (0.0, min(line[1] for line in own) - y - GAP / 2)]


def _box(x: float, y: float, name: str, across: float, along: float) -> Box:
    long, high = 72 * inches_of(" ".join(name.split()), SMALL), 1.2 * SMALL
    low = x + across - (0.0 if across > 0 else long if across < 0 else long / 2)
    bottom = y + along - (high / 2 if across else 0.0 if along > 0 else high)
    return low - ROOM, bottom - ROOM, low + long + ROOM, bottom + high + ROOM


def _lines(axes: Axes, scale: float) -> list[Box]:
    """Return where the upright and level lines of the axes are: intervals, steps, chance."""
    window = axes.get_window_extent()
    found: list[Any] = [
        axes.transData.transform(segment)
        for lines in axes.collections
        if isinstance(lines, LineCollection)
        for segment in lines.get_segments()
    ]
    for line in axes.get_lines():
        if line.get_linestyle() != "None":
            found.append(line.get_transform().transform_path(line.get_path()).vertices)
    boxes = []
    for points in found:
        points = np.clip(np.asarray(points, float), (window.x0, window.y0), (window.x1, window.y1)) * scale
        for (x0, y0), (x1, y1) in pairwise(points):
            boxes.append((float(min(x0, x1)), float(min(y0, y1)), float(max(x0, x1)), float(max(y0, y1))))
    return boxes


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
