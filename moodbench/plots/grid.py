"""Pretext tasks on x, mean AUROC on y, a marker for each score: the paper's first figure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Given
from moodbench.tables.footnotes import Index
from moodbench.tables.order import (
    COLOURS,
    NO_TITLES,
    Model,
    Series,
    Titles,
    models_in_order,
    series_in_order,
)
from moodbench.types import ALL_GROUPS, FAMILIES, MEAN, Family, Result

Shape = tuple[Any, float]

MARKERS: tuple[Shape, ...] = (
    *(("o", 6), ("s", 5.5), ("^", 7), ("D", 5.5), ("v", 7), ("P", 7.5), ("X", 7.5)),
    *(("<", 7), (">", 7), ("p", 7), ("d", 7.5), ((4, 1, 0), 9), ("h", 7), ((8, 1, 0), 8)),
)
"""Shapes of the scores with their sizes, in order; the star is kept for the mean of a family."""

_LEGEND_ROWS = 48

_NAME, _MARKER, _NUMBER = 0.085, 0.014, 0.045
"""Inches, on paper, between models for their names, and between scores for markers, or numbers where they have them."""

_SMALLER = 0.62
"""Of markers on paper."""

_BELOW = 0.115
"""Inches of a line of a legend below the picture."""

_CHANCE = 50.0
_CHANCE_LINE: dict[str, Any] = {"color": "#667085", "lw": 1, "ls": (0, (4, 3))}


@PLOTS.register("grid")
@as_plot(width=None, without={"ood": "shows means over a group, which --group chooses"})
def plot_grid(given: Given) -> Figure:
    """Draw the pretext task × score grid; see `grid_figure`."""
    return grid_figure(given.results, group=given.group, titles=given.titles, paper=given.width)


def grid_figure(
    results: Sequence[Result],
    *,
    group: str = ALL_GROUPS,
    titles: Titles = NO_TITLES,
    title: str | None = None,
    paper: float | None = None,
) -> Figure:
    """Return the layout of the paper's first figure: models on x, mean AUROC on y, a marker for each score.

    Every family has its colour and its lane within a model, so that markers of different families never overlap; in
    a lane each score has its place. Where a family has more scores than there are shapes, the markers are dots with
    the numbers of the legend above and below them. A star at the end of a lane is the mean of the family without
    controls, drawn only where all its scores have a number. Thin bars are 95 % intervals.

    It is as large as models and scores need; with `paper`, so many inches wide, with everything smaller and the legend
    below, and what then cannot be told apart is a `UsageError`.
    """
    index = Index(results)
    models, series = models_in_order(results, titles), series_in_order(results, titles)
    points = {(m, s): index.find((m, s, MEAN, group)) for m in models for s in series}
    shown = {key: row for key, row in points.items() if row is not None and row.auroc is not None}
    series = [s for s in series if any((m, s) in shown for m in models)]
    if not shown:
        raise ResultsError(
            f"no score of '{index.benchmark}' has a mean AUROC over the group '{group}'",
            fix="run 'moodbench score' on every OOD dataset of the group",
        )
    legend_rows = len(series) + 6
    columns = math.ceil(legend_rows / _LEGEND_ROWS)
    lanes = _Lanes.of(series)
    room = 0.055 if _numbered(series) else 0.04
    width = 1.2 + 2 * columns + max(3.6, min((0.6 + room * lanes.places) * len(models), 60))
    height = max(4.2, 1 + 0.2 * math.ceil(legend_rows / columns), min(0.38 * width, 8))
    if paper is not None:
        _refuse_crowds(paper, models, series, lanes)
        columns = max(1, int(paper / 1.05))
        width, height = paper, max(2.0, 0.42 * paper) + 0.3 + _BELOW * math.ceil(legend_rows / columns)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for family in FAMILIES:
        if family in lanes.means:
            _draw_means(axes, family, _averaged(family, series), lanes.means[family], models, shown)
    for number, one in enumerate(series):
        _draw_series(axes, one, _shape(number, series), lanes.scores[number], models, shown)
        if _numbered(series):
            _number_points(axes, one, number, lanes.scores[number], models, shown)
    _finish(axes, models, index, numbered=_numbered(series))
    axes.set_title(
        plain(title or _default_title(index.benchmark, group)),
        loc="left",
        pad=32 if _numbered(series) else 22,
        weight="bold",
    )
    if paper is not None:
        _make_smaller(axes)
    _add_legend(figure, series, columns, chance=axes.get_ylim()[0] <= _CHANCE, below=paper is not None)
    remarks = "\n".join(map(plain, index.remarks(models)))
    if remarks:
        figure.supxlabel(remarks, fontsize=8, x=0.01, ha="left", color="#667085")
    return figure


Shown = dict[tuple[Model, Series], Result]


def _refuse_crowds(width: float, models: Sequence[Model], series: Sequence[Series], lanes: _Lanes) -> None:
    """Raise a `UsageError` where markers, or names of models, would cover one another in a picture so wide."""
    room = (width - 0.5) / len(models)
    if room < max(_NAME, lanes.places * (_NUMBER if _numbered(series) else _MARKER)):
        raise UsageError(
            f"{len(series)} scores of {len(models)} models cannot be told apart in {width:g} inches",
            fix="name fewer with --model and --score, give a larger --width, or none: then the picture is as wide as "
            "they need",
        )


def _make_smaller(axes: Axes) -> None:
    for line in axes.get_lines():
        line.set_markersize(_SMALLER * line.get_markersize())
        line.set_markeredgewidth(_SMALLER * line.get_markeredgewidth())
    for text in axes.texts:
        text.set_fontsize(6)


def _numbered(series: Sequence[Series]) -> bool:
    """Whether a family has more scores than there are shapes: numbers tell them apart."""
    return max(Counter(one.family for one in series).values()) > len(MARKERS)


def _shape(number: int, series: Sequence[Series]) -> Shape:
    if _numbered(series):
        return "o", 4.5
    return MARKERS[number % len(MARKERS)]


def _default_title(benchmark: str, group: str) -> str:
    over = "all OOD datasets" if group == ALL_GROUPS else f"the {group} OOD datasets"
    return f"{benchmark}: mean over {over}"


@dataclass(frozen=True)
class _Lanes:
    """How far from the middle of a model everything stands, in units of the distance between models.

    A family takes as much room as it has scores, then some for the star of its mean, which would hide markers if it
    stood among them, and some more that sets the next family apart.

    Attributes
    ----------
    scores : list of float
        In the order of the series.
    means : dict
        Of the families with more than one score that counts.
    places : float
        How many scores would fill the same room.
    """

    scores: list[float]
    means: dict[Family, float]
    places: float

    @staticmethod
    def of(series: Sequence[Series]) -> _Lanes:
        gap = max(1.0, 0.04 * len(series))
        star = max(3.0, gap)
        scores, means, at = [], {}, 0.0
        for family in dict.fromkeys(one.family for one in series):
            members = [one for one in series if one.family == family]
            scores += [at + i + 0.5 for i in range(len(members))]
            at += len(members)
            if len(_averaged(family, series)) > 1:
                means[family] = at + star / 2
                at += star
            at += gap
        whole = max(at - gap, 1.0)

        def offset(place: float) -> float:
            return 0.86 * (place / whole - 0.5)

        return _Lanes(list(map(offset, scores)), {family: offset(at) for family, at in means.items()}, whole)


def _averaged(family: Family, series: Sequence[Series]) -> list[Series]:
    return [one for one in series if one.family == family and not one.control]


def _draw_series(axes: Axes, one: Series, shape: Shape, offset: float, models: Sequence[Model], shown: Shown) -> None:
    colour = COLOURS[one.family]
    found = [(x + offset, shown[m, one]) for x, m in enumerate(models) if (m, one) in shown]
    for x, row in found:
        if row.auroc_low is not None and row.auroc_high is not None:
            axes.vlines(x, 100 * row.auroc_low, 100 * row.auroc_high, color=colour, lw=0.8, zorder=3)
    xs, ys = [x for x, _ in found], [100 * (row.auroc or 0.0) for _, row in found]
    axes.plot(xs, ys, label=plain(one.title), zorder=4, **_marker(shape, colour))


def _number_points(axes: Axes, one: Series, number: int, offset: float, models: Sequence[Model], shown: Shown) -> None:
    """Write the number of a score at its intervals, above and below in turns: neighbours do not collide."""
    above = number % 2 == 0
    for x, model in enumerate(models):
        row = shown.get((model, one))
        if row is None or row.auroc is None:
            continue
        end = row.auroc_high if above else row.auroc_low
        axes.annotate(
            str(number + 1),
            (x + offset, 100 * (row.auroc if end is None else end)),
            xytext=(0, 2.5 if above else -2.5),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=6,
            color=COLOURS[one.family],
            zorder=5,
            annotation_clip=False,
        ).set_in_layout(False)


def _draw_means(
    axes: Axes, family: Family, members: Sequence[Series], offset: float, models: Sequence[Model], shown: Shown
) -> None:
    xs, ys = [], []
    for x, model in enumerate(models):
        values = [shown[model, s].auroc or 0.0 for s in members if (model, s) in shown]
        if len(values) == len(members):
            xs.append(x + offset)
            ys.append(100 * sum(values) / len(values))
    if xs:
        axes.plot(xs, ys, label=f"{family} mean", zorder=2, **_star(COLOURS[family]))


def _marker(shape: Shape, colour: str) -> dict[str, Any]:
    marker, size = shape
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.6}
    return {"marker": marker, "markersize": size, "color": colour, "linestyle": "none", "clip_on": False, **edge}


def _star(colour: str) -> dict[str, Any]:
    pale = tuple(0.35 * part + 0.65 for part in to_rgb(colour))
    return _marker(("*", 9), colour) | {"markerfacecolor": pale, "markeredgecolor": colour, "markeredgewidth": 0.8}


def _finish(axes: Axes, models: Sequence[Model], index: Index, *, numbered: bool) -> None:
    """Label the axes, and set the pretext tasks apart."""
    axes.set_xlim(-0.5, len(models) - 0.5)
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, 100.5))
    axes.set_ylabel("mean AUROC (%)")
    axes.grid(axis="y", color="#e4e7ec", lw=0.8)
    axes.tick_params(length=0)
    slanted = len(models) > 6
    names = [plain(index.title(model)) for model in models]
    if not slanted:  # variant and head on a line of their own, so that neighbours do not run into one another
        names = [re.sub(r" ([@+])", r"\n\1", name) for name in names]
    axes.set_xticks(
        range(len(models)),
        names,
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    _mark_tasks(axes, models, 13 if numbered else 3)
    if axes.get_ylim()[0] <= _CHANCE:
        axes.axhline(_CHANCE, zorder=1, label="chance", **_CHANCE_LINE)


def _mark_tasks(axes: Axes, models: Sequence[Model], rise: float) -> None:
    at = 0
    for number, (task, members) in enumerate(groupby(models, key=lambda model: model.pretext)):
        width = len(list(members))
        if number % 2 == 0:
            axes.axvspan(at - 0.5, at + width - 0.5, color="#f4f6f9", lw=0, zorder=0)
        words = "\n".join(plain(task).rsplit(" ", 1)) if width == 1 else plain(task)
        axes.annotate(
            words,
            (at + (width - 1) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, rise),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color="#667085",
        )
        at += width


def _add_legend(figure: Figure, series: Sequence[Series], columns: int, *, chance: bool, below: bool) -> None:
    """Put beside or below the axes: each family's name, its scores, its mean; and the line of chance."""
    entries: list[Line2D] = []
    heads = []
    for family in FAMILIES:
        members = [(number, s) for number, s in enumerate(series) if s.family == family]
        if not members:
            continue
        heads.append(len(entries))
        entries.append(Line2D([], [], linestyle="none", label=family))
        for number, one in members:
            label = f"{number + 1} {one.title}" if _numbered(series) else one.title
            entries.append(Line2D([], [], label=plain(label), **_marker(_shape(number, series), COLOURS[family])))
        if len(_averaged(family, series)) > 1:
            entries.append(Line2D([], [], label="mean", **_star(COLOURS[family])))
    if chance:
        entries.append(Line2D([], [], label="chance", **_CHANCE_LINE))
    place: dict[str, Any] = {"loc": "outside lower left" if below else "outside right upper", "ncols": columns}
    if below:
        for entry in entries:
            entry.set_markersize(_SMALLER * entry.get_markersize())
        place |= {"labelspacing": 0.25, "borderpad": 0.1}
    size = 6 if below else 8
    legend = figure.legend(handles=entries, frameon=False, fontsize=size, handletextpad=0.3, columnspacing=1, **place)
    for number in heads:
        legend.get_texts()[number].set_fontweight("bold")
