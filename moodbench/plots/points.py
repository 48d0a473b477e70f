"""Points with names beside them: each name where it hides no other, and left out where there is no such place."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from moodbench.plots.base import plain
from moodbench.plots.parts import SMALL

Box = tuple[float, float, float, float]

PLACES = (
    *((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)),
    *((1, 2), (-1, 2), (1, -2), (-1, -2)),
)
"""Where a name may stand: to the right, to the left, above, …; in what order they are tried."""

GAP = 4.0
"""Points (1/72 inch) between a marker and its name."""


def name_points(
    figure: Figure, axes: Axes, xs: Sequence[float], ys: Sequence[float], names: Sequence[str]
) -> list[str]:
    """Write a name beside each point of a laid out figure; return those that found no place."""
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    spots = [tuple(float(v) * scale for v in axes.transData.transform((x, y))) for x, y in zip(xs, ys, strict=True)]
    window = axes.get_window_extent()
    inside = tuple(float(v) * scale for v in (window.x0, window.y0, window.x1, window.y1))
    taken: list[Box] = [(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in spots]
    left = []
    for number, ((x, y), name) in enumerate(zip(spots, names, strict=True)):
        others = [box for at, box in enumerate(taken) if at != number]
        for right, up in PLACES:
            box = _box(x, y, name, right, up)
            within = box[0] >= inside[0] and box[2] <= inside[2] and box[1] >= inside[1] and box[3] <= inside[3]
            if within and not any(_meet(box, other) for other in others):
                taken.append(box)
                axes.annotate(
                    plain(name),
                    (xs[number], ys[number]),
                    xytext=(GAP * right, GAP * up * 0.9 if right else GAP * up),
                    textcoords="offset points",
                    ha=("right", "center", "left")[right + 1],
                    va="center" if right else ("bottom" if up > 0 else "top"),
                    fontsize=SMALL,
                    color="#344054",
                    path_effects=[withStroke(linewidth=1.5, foreground="white")],
                    zorder=5,
                ).set_in_layout(False)
                break
        else:
            left.append(name)
    return left


def _box(x: float, y: float, name: str, right: int, up: int) -> Box:
    long, high = 0.58 * SMALL * len(name) + 1, 1.15 * SMALL
    low = x + GAP * right - (0.0 if right > 0 else long if right < 0 else long / 2)
    if right:
        bottom = y + GAP * up * 0.9 - high / 2
    else:
        bottom = y + GAP * up - (0.0 if up > 0 else high)
    return low, bottom, low + long, bottom + high


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
