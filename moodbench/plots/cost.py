"""Mean AUROC against the time that a score takes for a test row, with the scores that no faster one beats."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.base import PLOTS, as_plot
from moodbench.plots.given import Given
from moodbench.plots.parts import GREY, PALE, below_hundred, heading, letters_in, panels, panels_across, sheet, wrapped
from moodbench.plots.points import name_points
from moodbench.tables.order import COLOURS, Model, Series
from moodbench.types import ALL_GROUPS, FAMILIES, Family

MOST_MODELS = 12

SHAPES: Mapping[Family, str] = {"probability": "o", "logit": "^", "feature": "s", "feature+logit": "D"}
"""So that colour is not all that tells families apart."""

Points = dict[Series, tuple[float, float]]
"""Score → microseconds a row, mean AUROC in percent."""


@PLOTS.register("cost")
@as_plot(without={"ood": "shows means over a group, which --group chooses"})
def cost(given: Given) -> Figure:
    """Draw a point for each score of the named models, or of the model with the best pair: a panel for each model.

    Times were measured where `score` ran, of each score alone on some test rows, fitting not included
    (`moodbench.evaluation.timing`).
    """
    assert given.width is not None
    means = given.known_means()
    models = [m for m in given.in_order if m.name in given.models] if given.models else [given.pairs(1)[0][0]]
    if len(models) > MOST_MODELS:
        raise UsageError(f"{len(models)} models do not fit one picture", fix=f"name at most {MOST_MODELS}")
    charts: dict[Model, Points] = {}
    for model in models:
        seconds = given.seconds(model)
        charts[model] = {
            pair[1]: (1e6 * seconds[pair[1].score, pair[1].params], 100 * (row.auroc or 0.0))
            for pair, row in means.items()
            if pair[0] == model and (pair[1].score, pair[1].params) in seconds
        }
    lacking = [model.name for model, points in charts.items() if not points]
    if lacking:
        again = " ".join(f"--model {name}" for name in lacking)
        raise ResultsError(
            f"no times were measured of {', '.join(lacking)} on '{given.index.benchmark}'",
            fix=f"moodbench score --benchmark {given.index.benchmark} {again}",
        )
    families = [
        family for family in FAMILIES if any(one.family == family for points in charts.values() for one in points)
    ]
    entries = [Line2D([], [], ls="none", marker=SHAPES[f], color=COLOURS[f], ms=4, label=f) for f in families]
    entries.append(Line2D([], [], color=GREY, lw=0.8, label="no faster score is better"))
    across = panels_across(given.width, len(charts), 2.2)
    rows = -(-len(charts) // across)
    high = min(given.width / across, 3.6)
    figure, (part,) = sheet(
        given.width,
        [0.8 * high * rows + 0.4],
        legend=entries,
        remarks=[
            "Time of each score alone, on one CPU thread or a GPU, without fitting; thin lines are 95 % intervals."
        ],
    )
    places = panels(part, len(charts), across, share_y=True)
    if len(charts) == 1:
        heading(part, models[0].title, given.width)
    for axes, (model, points) in zip(places, charts.items(), strict=True):
        for one, (x, y) in points.items():
            row = means[model, one]
            if row.auroc_low is not None and row.auroc_high is not None:
                axes.vlines(x, 100 * row.auroc_low, 100 * row.auroc_high, color=COLOURS[one.family], lw=0.6)
            axes.plot(x, y, SHAPES[one.family], color=COLOURS[one.family], ms=4, mec="white", mew=0.5, zorder=3)
        _finish(axes, points)
        if len(charts) > 1:
            axes.set_title(wrapped(model.title, letters_in(given.width / across, 7)), fontsize=7)
    over = "all OOD datasets" if given.group == ALL_GROUPS else f"the {given.group} OOD datasets"
    part.supxlabel("time of a test row (µs)", fontsize=7)
    part.supylabel(wrapped(f"mean AUROC over {over} (%)", letters_in(0.8 * high * rows, 7)), fontsize=7)
    for axes, points in zip(places, charts.values(), strict=True):
        chosen = sorted(points, key=lambda one: -points[one][1])  # the best keep their names where there is no room
        xs, ys = [points[one][0] for one in chosen], [points[one][1] for one in chosen]
        name_points(figure, axes, xs, ys, [one.title for one in chosen])
    return figure


def frontier(points: Points) -> list[tuple[float, float]]:
    """Return the points of scores that are better than all faster ones, by time."""
    found: list[tuple[float, float]] = []
    for x, y in sorted(points.values(), key=lambda point: (point[0], -point[1])):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found


def _finish(axes: Axes, points: Points) -> None:
    axes.set_xscale("log")
    best = frontier(points)
    last = max(x for x, _ in points.values())
    axes.step(
        [x for x, _ in best] + [last], [y for _, y in best] + [best[-1][1]], where="post", color=GREY, lw=0.8, zorder=1
    )
    axes.margins(0.14)
    below_hundred(axes)
    axes.grid(color=PALE, lw=0.5)
