"""AUROC on every OOD dataset with its interval: bars that begin at chance."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import AbstractPathEffect, withStroke

from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Given, pair_title
from moodbench.plots.letters import SMALL, wrapped
from moodbench.plots.parts import CHANCE, GREY, MOST, PALE, PALETTE, heading, heading_height, sheet
from moodbench.types import MEAN, Result

_EDGE: list[AbstractPathEffect] = [withStroke(linewidth=1.5, foreground="white")]
"""Around a thin line: it is seen on bars of every colour."""

NUMBERED = 4
"""With more pairs, numbers beside the bars would stand too close."""


@PLOTS.register("bars")
@as_plot()
def bars(given: Given) -> Figure:
    """Draw for each OOD dataset a bar for each pair, and below them the mean over the group where it is known.

    A bar begins at chance, 50 %, so that its length means something; a thin line is the 95 % interval.
    """
    assert given.width is not None
    pairs = given.pairs(MOST)
    names = [name for name in given.datasets if any(name in given.cells[pair] for pair in pairs)]
    means = {} if given.oods else {pair: given.means[pair] for pair in pairs if pair in given.means}
    places = [*names, *([MEAN] if means and len(names) > 1 else [])]
    thick = 0.13 if len(pairs) <= NUMBERED else 0.095
    titles = ["mean" if name == MEAN else wrapped(given.dataset(name), 0.35 * given.width, 6.5) for name in places]
    lines = max(title.count("\n") + 1 for title in titles)
    room = max(thick * len(pairs) + 0.09, 0.11 * lines + 0.04)
    entries = [Patch(color=PALETTE[i], label=plain(pair_title(pair))) for i, pair in enumerate(pairs)]
    what = "AUROC on each OOD dataset" if len(pairs) > 1 else f"AUROC of {pair_title(pairs[0])}"
    title = given.about(what)
    figure, (part,) = sheet(
        given.width,
        [room * len(places) + 0.45 + heading_height(title, given.width)],
        legend=entries if len(pairs) > 1 else [],
        remarks=[
            *given.trials(model.name for model, _ in pairs),
            "Bars begin at chance; thin lines: 95 % intervals.",
            *given.without_auroc(named=True),
        ],
    )
    heading(part, title, given.width)
    axes = part.subplots()
    share = thick * len(pairs) / room
    for number, pair in enumerate(pairs):
        for place, name in enumerate(places):
            row = means.get(pair) if name == MEAN else given.cells[pair].get(name)
            if row is not None:
                at = place + share * ((number + 0.5) / len(pairs) - 0.5)
                _draw(axes, row, at, share / len(pairs), PALETTE[number], numbered=len(pairs) <= NUMBERED)
    axes.set_yticks(range(len(places)), titles)
    if places[-1] == MEAN:
        axes.axhline(len(places) - 1.5, color=GREY, lw=0.5)
    axes.set_ylim(len(places) - 0.5, -0.5)
    low = min([CHANCE, *(100 * (row.auroc or 0) - 1 for pair in pairs for row in given.cells[pair].values())])
    axes.set_xlim(max(low, 0), 100)
    axes.axvline(CHANCE, color=GREY, lw=0.6)
    axes.set_xlabel("AUROC (%)")
    axes.grid(axis="x", color=PALE, lw=0.5)
    axes.tick_params(length=0)
    return figure


def _draw(axes: Axes, row: Result, at: float, thick: float, colour: str, *, numbered: bool) -> None:
    value = 100 * (row.auroc or 0.0)
    axes.barh(at, value - CHANCE, 0.86 * thick, left=CHANCE, color=colour, lw=0)
    if row.auroc_low is not None and row.auroc_high is not None:
        axes.hlines(at, 100 * row.auroc_low, 100 * row.auroc_high, color="#101828", lw=0.7, zorder=3).set_path_effects(
            _EDGE
        )
    if numbered:
        axes.annotate(
            f"{value:.2f}",
            (1, at),
            xycoords=("axes fraction", "data"),
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=GREY,
        )
