"""Mean AUROC against the time that a score takes for a test row, with the scores that no faster one beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.base import PLOTS, as_plot
from moodbench.plots.given import Given, Pair, listed
from moodbench.plots.letters import wrapped
from moodbench.plots.parts import (
    GREY,
    PALE,
    below_hundred,
    heading,
    panel_title,
    panels,
    panels_across,
    sheet,
)
from moodbench.plots.points import name_points
from moodbench.tables.order import COLOURS, Model, Series
from moodbench.types import FAMILIES, MOST_TIMED, Family, Result

MOST_MODELS = 12

SHAPES: Mapping[Family, str] = {
    "probability": "o",
    "logit": "^",
    "feature": "s",
    "feature+logit": "D",
    "imported": "v",
}
"""So that colour is not all that tells families apart."""

UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
"""Names and seconds; the first of which the slowest score takes more than ten."""

LEAST = 4.0
"""By so much the ends of the axis differ at least, or there would be one tick."""

TICK = 0.28
"""Inches that a number below the axis takes."""

Points = dict[Series, tuple[float, float]]
"""Score → time of a row in the unit of the axis, mean AUROC in percent."""


@PLOTS.register("cost")
@as_plot(without={"ood": "shows means over a group, which --group chooses"})
def cost(given: Given) -> Figure:
    """Draw a point for each score of the named models, or of the model with the best pair: a panel for each model.

    Times were measured where `score` ran, of each score alone on some test rows, fitting not included
    (`moodbench.evaluation.timing`).
    """
    means = given.known_means()
    models = [m for m in given.in_order if m.name in given.models] if given.models else [given.pairs(1)[0][0]]
    if len(models) > MOST_MODELS:
        raise UsageError(f"{len(models)} models do not fit one picture", fix=f"name at most {MOST_MODELS}")
    seconds: dict[Model, dict[Series, float]] = {}
    lacking: dict[Model, list[Series]] = {}
    for model in models:
        known = given.seconds(model)
        its = [one for of, one in means if of == model]
        seconds[model] = {one: took for one in its if (took := known.get((one.score, one.params)))}
        lacking[model] = [one for one in its if one not in seconds[model]]
    without = [model for model in models if not seconds[model]]
    if without:
        raise ResultsError(
            f"no times were measured of {', '.join(model.name for model in without)} on '{given.index.benchmark}'",
            fix=_again(given, {model: lacking[model] for model in without}),
        )
    remarks = [*given.trials(model.name for model in models), *_without_time(lacking), *given.without_auroc()]
    figure, left = _figure(given, means, seconds, remarks)
    if left:
        figure, _ = _figure(given, means, seconds, [*remarks, "Names stand where there is room, the best ones first."])
    return figure


def _again(given: Given, lacking: Mapping[Model, Sequence[Series]]) -> str:
    """Return the command that measures times: of these scores, unless they are many."""
    scores = list(dict.fromkeys(one.score for some in lacking.values() for one in some))
    names = [f"--model {model.name}" for model in lacking]
    names += [f"--score {score}" for score in scores] if len(scores) <= 10 else []
    return " ".join([f"moodbench score --benchmark {given.index.benchmark}", *names])


def _without_time(lacking: Mapping[Model, Sequence[Series]]) -> list[str]:
    scores = list(dict.fromkeys(one.title for some in lacking.values() for one in some))
    if not scores:
        return []
    measured = (
        "moodbench score measures all scores but imported ones, and those that walk over more than "
        f"{MOST_TIMED:,} rows of ID train."
    )
    return [f"Without a measured time, hence not shown: {listed(scores)}. {measured}"]


def _figure(
    given: Given, means: Mapping[Pair, Result], seconds: Mapping[Model, Mapping[Series, float]], remarks: Sequence[str]
) -> tuple[Figure, list[str]]:
    """Return the figure, and the names that found no place in it."""
    assert given.width is not None
    every = [took for of in seconds.values() for took in of.values()]
    unit, size = next((one for one in UNITS if max(every) > 10 * one[1]), UNITS[-1])
    charts: dict[Model, Points] = {
        model: {one: (took / size, 100 * (means[model, one].auroc or 0.0)) for one, took in of.items()}
        for model, of in seconds.items()
    }
    families = [family for family in FAMILIES if any(one.family == family for of in charts.values() for one in of)]
    entries = [Line2D([], [], ls="none", marker=SHAPES[f], color=COLOURS[f], ms=4, label=f) for f in families]
    entries.append(Line2D([], [], color=GREY, lw=0.8, label="highest AUROC within this time"))
    across = panels_across(given.width, len(charts), 2.2)
    rows = -(-len(charts) // across)
    high = min(0.8 * given.width / across, 2.9)
    figure, (part,) = sheet(
        given.width,
        [high * rows + 0.4],
        legend=entries,
        remarks=[
            "Time of each score alone, on one CPU thread or a GPU, without fitting. Thin lines: 95 % intervals.",
            *remarks,
        ],
    )
    places = panels(part, len(charts), across, share_y=True)
    (first, *more) = charts
    heading(
        part,
        given.about("AUROC and time of scores" if more else f"AUROC and time of scores on {first.title}"),
        given.width,
    )
    for axes, (model, points) in zip(places, charts.items(), strict=True):
        for one, (x, y) in points.items():
            row = means[model, one]
            if row.auroc_low is not None and row.auroc_high is not None:
                axes.vlines(x, 100 * row.auroc_low, 100 * row.auroc_high, color=COLOURS[one.family], lw=0.6)
            axes.plot(x, y, SHAPES[one.family], color=COLOURS[one.family], ms=4, mec="white", mew=0.5, zorder=3)
        _finish(axes, points)
        if more:
            panel_title(axes, model.title, given.width / across - 0.35)
    _scale(places, [took / size for took in every], given.width / across - 0.6)
    part.supxlabel(f"time of a test row ({unit})", fontsize=7)
    part.supylabel(wrapped(f"mean AUROC over {given.over} (%)", high * rows, 7), fontsize=7)
    figure.draw_without_rendering()
    left = []
    for axes, points in zip(places, charts.values(), strict=True):
        chosen = sorted(points, key=lambda one: -points[one][1])  # the best keep their names where there is no room
        xs, ys = [points[one][0] for one in chosen], [points[one][1] for one in chosen]
        left += name_points(figure, axes, xs, ys, [one.title for one in chosen])
    return figure, left


def frontier(points: Points) -> list[tuple[float, float]]:
    """Return the points of scores that are better than all faster ones, by time."""
    found: list[tuple[float, float]] = []
    for x, y in sorted(points.values(), key=lambda point: (point[0], -point[1])):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found


def _finish(axes: Axes, points: Points) -> None:
    best = frontier(points)
    last = max(x for x, _ in points.values())
    axes.step(
        [x for x, _ in best] + [last], [y for _, y in best] + [best[-1][1]], where="post", color=GREY, lw=0.8, zorder=1
    )
    axes.margins(y=0.12)
    below_hundred(axes)
    axes.grid(color=PALE, lw=0.5)


def _scale(places: Sequence[Axes], times: Sequence[float], room: float) -> None:
    """Make the axes of time logarithmic, with plain numbers below them, as many as have room."""
    low, high = math.log10(min(times)), math.log10(max(times))
    more = max(0.0, math.log10(LEAST) - (high - low)) / 2 + 0.1 * (high - low)
    low, high = low - more, high + more
    most = max(2, int(room / TICK))
    ticks = next(some for some in (_ticks(low, high, *steps) for steps in STEPS) if len(some) <= most)
    for axes in places:
        axes.set_xscale("log")
        axes.set_xlim(10**low, 10**high)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:,.10g}" for tick in ticks]))
        axes.xaxis.set_minor_locator(NullLocator())


STEPS: list[tuple[tuple[int, ...], int]] = [((1, 2, 5), 1), ((1, 3), 1), *(((1,), decades) for decades in range(1, 99))]
"""Numbers of a decade that have ticks, and of how many decades one is ticked; the densest first."""


def _ticks(low: float, high: float, of: Sequence[int], decades: int) -> list[float]:
    exponents = range(math.floor(low), math.ceil(high) + 1)
    every = [digit * 10.0**exponent for exponent in exponents if exponent % decades == 0 for digit in of]
    return [float(f"{tick:.3g}") for tick in every if low <= math.log10(tick) <= high]
