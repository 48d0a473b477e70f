"""Pretext tasks on x, mean AUROC on y, a marker for each score: the paper's first figure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.arranged import Names, packed, side_by_side
from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Given
from moodbench.plots.letters import inches_of, wrapped
from moodbench.plots.parts import REMARK
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

_NAME, _MARKER, _NUMBER = 0.1, 0.014, 0.045
"""Inches, on paper, between models for their names, and between scores for markers, or numbers where they have them."""

_SMALLER = 0.62
"""Of markers on paper."""

_BELOW = 0.115
"""Inches of a line of a legend below the picture."""

_HEAD = "head"
"""Marks the entry of a legend that names a family."""

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
    chance = min(100 * _low(row) for row in shown.values()) <= _CHANCE
    entries = _entries(series, chance=chance)
    legend_rows = sum(map(len, entries))
    columns = (
        _columns(entries, paper)
        if paper is not None
        else packed(entries, math.ceil(legend_rows / _LEGEND_ROWS), _blank)
    )
    lanes = _Lanes.of(series)
    room = 0.055 if _numbered(series) else 0.04
    axis = max(3.6, min((0.6 + room * lanes.places) * len(models), 60))
    width = 1.2 + 2 * len(columns) + axis
    height = max(4.2, 1 + 0.2 * len(columns[0]), min(0.38 * width, 8))
    if paper is not None:
        _refuse_crowds(paper, models, series, lanes)
        axis, width = paper - 0.55, paper
    step, size = axis / len(models), 6.5 if paper is not None else 9.0
    names = side_by_side([index.title(model) for model in models], [step] * len(models), size, slanted=True)
    tasks = [(task, len(list(members))) for task, members in groupby(models, key=lambda model: model.pretext)]
    above = side_by_side([task for task, _ in tasks], [step * count for _, count in tasks], size - 0.5, slanted=False)
    about = [*index.remarks(models), *_about(shown.values(), stars=bool(lanes.means))]
    about += Given(results, titles, group).without_auroc()
    remarks = "\n".join(wrapped(line, 0.97 * width, REMARK if paper is not None else 8) for line in about)
    if paper is not None:
        more = names.height(size) + above.height(size) - 2 * 1.25 * size
        height = max(2.0, 0.42 * paper) + more / 72 + 0.35 + _BELOW * (len(columns[0]) + remarks.count("\n") + 1)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for family in FAMILIES:
        if family in lanes.means:
            _draw_means(axes, family, _averaged(family, series), lanes.means[family], models, shown)
    for number, one in enumerate(series):
        _draw_series(axes, one, _shape(number, series), lanes.scores[number], models, shown)
        if _numbered(series):
            _number_points(axes, one, number, lanes.scores[number], models, shown)
    _finish(axes, names, chance=chance)
    rise = 13 if _numbered(series) else 3
    _mark_tasks(axes, tasks, above, rise, size - 0.5)
    large = 7.5 if paper is not None else 10.8
    axes.set_title(
        wrapped(title or _default_title(index.benchmark, group), axis, large, bold=True),
        loc="left",
        pad=rise + above.height(size - 0.5) + 4,
        weight="bold",
        fontsize=large,
    )
    if paper is not None:
        _make_smaller(axes)
    _add_legend(figure, columns, remarks, below=paper is not None)
    if remarks and paper is None:
        figure.supxlabel(remarks, fontsize=8, x=0.01, ha="left", color="#667085")
    return figure


def _low(row: Result) -> float:
    return row.auroc_low if row.auroc_low is not None else row.auroc or 0.0


def _about(rows: Iterable[Result], *, stars: bool) -> list[str]:
    """Return what thin lines and stars are, as far as there are any."""
    intervals = any(row.auroc_low is not None for row in rows)
    said = [
        *(["Thin lines: 95 % intervals."] if intervals else []),
        *(["Stars: means over the scores of a family."] if stars else []),
    ]
    return [" ".join(said)] if said else []


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


def _finish(axes: Axes, names: Names, *, chance: bool) -> None:
    """Label the axes."""
    axes.set_xlim(-0.5, len(names.texts) - 0.5)
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, 100.5))
    axes.set_ylabel("mean AUROC (%)")
    axes.grid(axis="y", color="#e4e7ec", lw=0.8)
    axes.tick_params(length=0)
    slanted = 0 < names.angle < 90
    axes.set_xticks(
        range(len(names.texts)),
        names.texts,
        rotation=names.angle,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    if chance:
        axes.axhline(_CHANCE, zorder=1, label="chance", **_CHANCE_LINE)


def _mark_tasks(axes: Axes, tasks: Sequence[tuple[str, int]], names: Names, rise: float, size: float) -> None:
    """Set the pretext tasks apart, with their names above."""
    at = 0
    for number, (text, (_, count)) in enumerate(zip(names.texts, tasks, strict=True)):
        if number % 2 == 0:
            axes.axvspan(at - 0.5, at + count - 0.5, color="#f4f6f9", lw=0, zorder=0)
        axes.annotate(
            text,
            (at + (count - 1) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, rise + 1.25 * size * names.raised * (number % 2)),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=names.angle,
            fontsize=size,
            color="#667085",
        )
        at += count


def _blank() -> Line2D:
    return Line2D([], [], linestyle="none", label=" ")


def _entries(series: Sequence[Series], *, chance: bool) -> list[list[Line2D]]:
    """Return the entries of the legend: each family's name, its scores, its mean; and the line of chance."""
    blocks = []
    for family in FAMILIES:
        members = [(number, s) for number, s in enumerate(series) if s.family == family]
        if not members:
            continue
        block = [Line2D([], [], linestyle="none", label=family, gid=_HEAD)]
        for number, one in members:
            label = f"{number + 1} {one.title}" if _numbered(series) else one.title
            block.append(Line2D([], [], label=plain(label), **_marker(_shape(number, series), COLOURS[family])))
        if len(_averaged(family, series)) > 1:
            block.append(Line2D([], [], label="mean", **_star(COLOURS[family])))
        blocks.append(block)
    if chance:
        blocks.append([Line2D([], [], label="chance", **_CHANCE_LINE)])
    return blocks


def _columns(entries: Sequence[Sequence[Line2D]], width: float) -> list[list[Line2D]]:
    """Return the entries in as many columns as stand side by side in a picture so wide."""
    most = sum(map(len, entries))
    for count in range(min(most, max(1, int(width / 0.5))), 1, -1):
        found = packed(entries, count, _blank)
        wide = [max(inches_of(str(e.get_label()), 6, bold=e.get_gid() == _HEAD) for e in column) for column in found]
        if sum(wide) + (0.19 + 0.1) * len(found) <= width:
            return found
    return packed(entries, 1, _blank)


def _add_legend(figure: Figure, columns: Sequence[Sequence[Line2D]], remarks: str, *, below: bool) -> None:
    """Put the legend beside the axes, or below them, with remarks above it."""
    entries = [entry for column in columns for entry in column]
    place: dict[str, Any] = {"loc": "outside lower left" if below else "outside right upper", "ncols": len(columns)}
    if below:
        for entry in entries:
            entry.set_markersize(_SMALLER * entry.get_markersize())
        place |= {"labelspacing": 0.25, "borderpad": 0.1, "handlelength": 1.8}
        place |= {"title": remarks or None, "title_fontsize": REMARK, "alignment": "left"}
    size = 6 if below else 8
    legend = figure.legend(handles=entries, frameon=False, fontsize=size, handletextpad=0.3, columnspacing=1, **place)
    for text, entry in zip(legend.get_texts(), entries, strict=True):
        if entry.get_gid() == _HEAD:
            text.set_fontweight("bold")
    legend.get_title().set_color("#667085")
