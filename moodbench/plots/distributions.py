"""How the scores of ID and OOD test rows are distributed: a panel for each OOD dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from moodbench.plots.base import PLOTS, as_plot
from moodbench.plots.given import Array, Given, Split, pair_title
from moodbench.plots.letters import inches_of, wrapped
from moodbench.plots.parts import (
    GREY,
    ID_COLOUR,
    OOD_COLOUR,
    heading,
    panel_title,
    panels,
    panels_across,
    sheet,
)
from moodbench.ranking import Ranking
from moodbench.sizes import in_percent

BINS = 60
"""At most."""
SHADE = 0.45
THRESHOLD: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": (0, (4, 2))}
FARTHEST = 2.0
"""How far from the ID scores the axis reaches at most, in widths of what 99 % of them take up."""
MOST_PAIRS = 8


@PLOTS.register("distributions")
@as_plot(width="text")
def distributions(given: Given) -> Figure:
    """Draw the densities of ID and OOD scores, the pairs below one another and their OOD datasets in rows.

    All panels of a pair share their axis. Heights are square roots of densities, as in Tukey's rootogram: a score that
    gives most rows nearly the same value would leave nothing else to see. The dashed line is the threshold that keeps
    95 % of the ID rows.
    """
    pairs = given.pairs(MOST_PAIRS)
    drawn = given.samples(pairs)
    assert given.width is not None
    across = panels_across(given.width, max(len(drawn[pair]) for pair in pairs))
    ends = {pair: span(drawn[pair]) for pair in pairs}
    beyond = any(_reach_beyond(drawn[pair], *ends[pair]) for pair in pairs)
    figure, parts = sheet(
        given.width,
        [1.05 * math.ceil(len(drawn[pair]) / across) + 0.35 for pair in pairs],
        legend=[
            Patch(color=ID_COLOUR, alpha=SHADE, label="ID"),
            Patch(color=OOD_COLOUR, alpha=SHADE, label="OOD"),
            Line2D([], [], **THRESHOLD, label="keeps 95 % of ID"),
        ],
        remarks=[
            *given.trials(model.name for model, _ in pairs),
            "Heights: square roots of densities." + (" The outermost bins hold what lies beyond." if beyond else ""),
            *given.without_auroc(named=True),
        ],
    )
    for pair, part in zip(pairs, parts, strict=True):
        heading(part, given.about(f"distributions of {pair_title(pair)}"), given.width)
        for axes, split in zip(panels(part, len(drawn[pair]), across), drawn[pair], strict=True):
            _draw(axes, split, edges_of(split, *ends[pair]), given.dataset(split.name), given.width / across - 0.1)
        below = wrapped(f"{pair[1].title} (higher: more in-distribution)", 0.97 * given.width, 6.5)
        part.supxlabel(below, fontsize=6.5)
    return figure


def _draw(axes: Axes, split: Split, edges: Array, title: str, width: float) -> None:
    for scores, colour in ((split.id, ID_COLOUR), (split.ood, OOD_COLOUR)):
        shares = np.sqrt(density(scores, edges))
        axes.stairs(shares, edges, fill=True, color=colour, alpha=SHADE, lw=0)
        axes.stairs(shares, edges, color=colour, lw=0.8)
    against = Ranking(split.id).against(split.ood)
    axes.axvline(float(against.id[-max(int(0.95 * split.id.size), 1)]), **THRESHOLD)
    panel_title(axes, title, width, f"AUROC {in_percent(against.auroc):.2f}, FPR95 {in_percent(against.fpr()):.2f}")
    axes.set_yticks([])
    axes.set_xticks(_ticks(edges[0], edges[-1], width))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.06 * axes.get_ylim()[1])
    axes.spines["left"].set_visible(False)


def _ticks(low: float, high: float, width: float) -> list[float]:
    """Return about three round numbers that stand below an axis without reaching into the next panel's."""
    found = [float(f"{tick:.12g}") for tick in MaxNLocator(3).tick_values(low, high)]
    inch = width / (high - low)
    halves = [inches_of(f"{tick:g}", 6.5) / 2 - 0.02 for tick in found]
    return [t for t, half in zip(found, halves, strict=True) if low + half / inch <= t <= high - half / inch]


def _reach_beyond(splits: Sequence[Split], low: float, high: float) -> bool:
    return any(bool(((some < low) | (some > high)).any()) for split in splits for some in (split.id, split.ood))


def span(splits: Sequence[Split]) -> tuple[float, float]:
    """Return the ends of an axis on which nearly all rows of all datasets are, and ID rows are no line."""
    low, high = _most(splits[0].id)
    for split in splits:
        for scores in (split.id, split.ood):
            low, high = min(low, _most(scores)[0]), max(high, _most(scores)[1])
    of_id = [_most(split.id) for split in splits]
    least, largest = min(low for low, _ in of_id), max(high for _, high in of_id)
    room = FARTHEST * (largest - least)
    if room > 0:
        low, high = max(low, least - room), min(high, largest + room)
    margin = 0.02 * (high - low) or 0.5
    return low - margin, high + margin


def edges_of(split: Split, low: float, high: float) -> Array:
    """Return the edges of bins that are as narrow as the rows allow, over the whole axis.

    Where 99 % of the ID rows are, there are 2 n^(1/3) bins, with n the rows of ID or OOD, whichever are fewer (the Rice
    rule), so that a trial of few rows shows no row of its own; of many rows there are `BINS` on the axis.
    """
    least, largest = _most(split.id)
    of_id = 2 * min(split.id.size, split.ood.size) ** (1 / 3)
    share = min((largest - least) / (high - low), 1.0) or 1.0
    return np.linspace(low, high, min(BINS, math.ceil(of_id / share)) + 1)


def density(scores: Array, edges: Array) -> Array:
    """Return the density in each bin; rows beyond the ends count in the outermost bins."""
    counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
    shares: Array = counts / (scores.size * np.diff(edges))
    return shares


def _most(scores: Array) -> tuple[float, float]:
    finite = scores[np.isfinite(scores)]
    if finite.size == 0:
        return 0.0, 0.0
    low, high = np.quantile(finite, (0.005, 0.995))
    return float(low), float(high)
