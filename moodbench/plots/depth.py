"""Mean AUROC against depth: at which layer of which model does a score tell OOD rows apart?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.base import PLOTS, WIDTHS, as_plot, plain
from moodbench.plots.given import Given
from moodbench.plots.parts import (
    CHANCE,
    CHANCE_LINE,
    MOST,
    PALE,
    below_hundred,
    heading,
    heading_height,
    line_look,
    panel_title,
    panels,
    panels_across,
    sheet,
)
from moodbench.tables.depth import OUTPUT, Depth, by_line, title_of
from moodbench.tables.order import Series
from moodbench.types import MEAN, Result

FEW, MOST_PANELS = 6, 20
"""Scores that are drawn where none is named, and at most."""

MOST_TICKS = 8
"""More layers than this have a name at every second, third, … tick."""

SHADE = 0.15
"""Of an interval."""


@dataclass(frozen=True)
class _Line:
    """One model in one panel: its layers from input to output, with the results of a score."""

    number: int
    points: Sequence[tuple[Depth, Result]]


@PLOTS.register("depth")
@as_plot(width="text", layers=True, without={"ood": "shows means over the OOD datasets of a group"})
def depth(given: Given) -> Figure:
    """Draw a panel for each score with a line for each model: mean AUROC at each layer, and its interval."""
    depths = given.depths()
    lines = by_line(depths)
    if len(lines) > MOST:
        raise UsageError(f"{len(lines)} models have layers, and {MOST} can be told apart", fix="name some with --model")
    every = _scores(given, depths, list(lines.values()))
    drawn = every if given.scores else _best(every)
    where, ticks, axis = _axis(depths)
    width = given.width or WIDTHS["text"]
    across = panels_across(width, len(drawn), 2.0)
    legend = [_key(number, plain(title_of(line, given.titles))) for number, line in enumerate(lines)]
    about = given.about("mean AUROC at each layer")
    body = 1.5 * math.ceil(len(drawn) / across) + 0.25 + heading_height(about, width)
    trials = given.trials(depths, lambda name: given.titles.model(depths[name].line))
    remarks = [*trials, *_remarks(given, drawn, some=len(drawn) < len(every))]
    figure, (part,) = sheet(width, [body], legend=legend, remarks=remarks)
    all_axes = panels(part, len(drawn), across, share_y=True)
    for axes, (series, its) in zip(all_axes, drawn.items(), strict=True):
        for line in its:
            _draw(axes, line, where)
        panel_title(axes, series.title, width / across - 0.4)
        axes.grid(axis="y", color=PALE, lw=0.5)
        if ticks:
            axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
            axes.xaxis.set_major_formatter(FixedFormatter([plain(name) for name in ticks.values()]))
    low, high = all_axes[0].get_ylim()
    for axes in all_axes:
        if low < CHANCE < high:
            axes.axhline(CHANCE, **CHANCE_LINE)
    below_hundred(all_axes[0])
    heading(part, about, width)
    part.supxlabel(plain(axis), fontsize=7)
    part.supylabel("AUROC (%)", fontsize=7)
    return figure


def _scores(given: Given, depths: Mapping[str, Depth], lines: Sequence[Sequence[str]]) -> dict[Series, list[_Line]]:
    """Return what can be drawn of each score: the layers that it has a number at."""
    models = {model.name: model for model in given.in_order}
    found: dict[Series, list[_Line]] = {}
    for series in given.series:
        if series.control and series.score not in given.scores:
            continue
        its = []
        for number, names in enumerate(lines):
            rows = {name: given.index.find((models[name], series, MEAN, given.group)) for name in names}
            points = [(depths[name], row) for name, row in rows.items() if row is not None and row.auroc is not None]
            if any(depth.name != OUTPUT for depth, _ in points):
                its.append(_Line(number, points))
        if its:
            found[series] = its
    if not found:
        raise ResultsError(
            f"no score of '{given.index.benchmark}' has a mean AUROC over the group '{given.group}' at a layer",
            fix="run 'moodbench score --layers' on every OOD dataset of the group",
        )
    if given.scores and len(found) > MOST_PANELS:
        raise UsageError(f"{len(found)} scores are more than {MOST_PANELS} panels", fix="name fewer with --score")
    return found


def _best(found: Mapping[Series, list[_Line]]) -> dict[Series, list[_Line]]:
    """Return the few scores that have the most points, and of these are the best over all of them."""
    best = sorted(found, key=lambda one: (-_count(found[one]), -_mean(found[one])))[:FEW]
    return {series: its for series, its in found.items() if series in best}


def _count(lines: Sequence[_Line]) -> int:
    return sum(len(line.points) for line in lines)


def _mean(lines: Sequence[_Line]) -> float:
    return sum(row.auroc or 0.0 for line in lines for _, row in line.points) / _count(lines)


def _axis(depths: Mapping[str, Depth]) -> tuple[dict[Depth, float], dict[float, str], str]:
    """Return where each layer stands on x, the names of ticks, and what the axis is called.

    Networks with the same layers share an axis of their names; others are laid side by side by relative depth.
    """
    pairs = {(depth.index, depth.name) for depth in depths.values()}
    every = dict(sorted(pairs))
    if len({depth.count for depth in depths.values()}) > 1 or len(every) < len(pairs):
        return {depth: depth.share for depth in depths.values()}, {}, "relative depth, from the input to the output"
    layers = [name for name in every.values() if name != OUTPUT]
    shared = layers[0].rpartition(".")[0] + "."
    shared = shared if all(name.startswith(shared) for name in layers) else ""
    step, last = math.ceil(len(every) / MOST_TICKS), max(every)
    ticks = {
        float(index): name.removeprefix(shared)
        for index, name in every.items()
        if index == last or (index % step == 0 and last - index >= step)
    }
    called = f"layer ({shared.rstrip('.')})" if shared else "layer"
    return {depth: float(depth.index) for depth in depths.values()}, ticks, called


def _draw(axes: Axes, line: _Line, where: Mapping[Depth, float]) -> None:
    look = line_look(line.number)
    at = [where[depth] for depth, _ in line.points]
    axes.plot(at, [100 * (row.auroc or 0) for _, row in line.points], **look)
    for x, (depth, row) in zip(at, line.points, strict=True):
        inside = "white" if depth.name == OUTPUT else look["color"]
        axes.plot([x], [100 * (row.auroc or 0)], "o", ms=3, mec=look["color"], mfc=inside, mew=0.8)
    limits = [(row.auroc_low, row.auroc_high) for _, row in line.points]
    if all(low is not None and high is not None for low, high in limits):
        low, high = ([100 * (limit or 0) for limit in side] for side in zip(*limits, strict=True))
        axes.fill_between(at, low, high, color=look["color"], alpha=SHADE, lw=0)


def _key(number: int, title: str) -> Artist:
    look = line_look(number)
    return Line2D([], [], marker="o", ms=3, label=title, **look)


def _remarks(given: Given, drawn: Mapping[Series, Sequence[_Line]], *, some: bool) -> list[str]:
    intervals = any(row.auroc_low is not None for its in drawn.values() for line in its for _, row in line.points)
    shaded = "; shaded: 95 % intervals" if intervals else ""
    said = [f"Mean over {given.over}{shaded}; hollow: the model's own features."]
    if some:
        said.append(f"The {len(drawn)} scores with the highest mean AUROC over all layers; --score draws others.")
    return said
