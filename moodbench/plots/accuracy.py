"""ID accuracy against OOD detection over models: do better classifiers detect better?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moodbench.errors import ResultsError
from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Given, Pair
from moodbench.plots.letters import SMALL, widest, wrapped
from moodbench.plots.parts import (
    CHANCE,
    CHANCE_LINE,
    MOST,
    PALE,
    PALETTE,
    below_hundred,
    heading,
    panel_title,
    panels,
    panels_across,
    sheet,
)
from moodbench.plots.points import name_points
from moodbench.sizes import many
from moodbench.tables.order import Series
from moodbench.types import Result

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")


@PLOTS.register("accuracy")
@as_plot(without={"ood": "shows means over a group, which --group chooses"})
def accuracy(given: Given) -> Figure:
    """Draw a point for each model: its ID accuracy on x, the mean AUROC over a group on y; pretext tasks have colours.

    Of each named score a panel; without one the best score of each model. Spearman's rank correlation over the models
    is said where there are at least four: with three it takes few values.
    """
    means = {pair: row for pair, row in given.known_means().items() if row.id_accuracy is not None}
    charts = _charts(given, means)
    if not charts:
        with_accuracy = {pair[0].title for pair in means}
        raise ResultsError(
            f"{many(len(with_accuracy), 'model') if with_accuracy else 'no models'} of '{given.index.benchmark}' "
            "with an ID accuracy and a mean AUROC: this picture compares at least two",
            fix="score more models that have a head and labelled ID test rows, or name fewer with --model",
        )
    missing = len({pair[0] for pair in given.known_means()} - {pair[0] for pair in means})
    remarks = [f"Left out: {many(missing, 'model')} without an ID accuracy."] if missing else []
    remarks += given.without_auroc()
    remarks = [*given.trials(model.name for some in charts.values() for model, _ in some), *remarks]
    figure, left = _figure(given, means, charts, remarks)
    if left:
        figure, _ = _figure(given, means, charts, [*remarks, "Names stand where there is room."])
    return figure


def _figure(
    given: Given, means: Mapping[Pair, Result], charts: Mapping[str, Mapping[Pair, Result]], remarks: Sequence[str]
) -> tuple[Figure, list[str]]:
    """Return the figure, and the names that found no place in it."""
    assert given.width is not None
    tasks = list(dict.fromkeys(model.pretext for model in given.in_order if any(model == p[0] for p in means)))
    looks = {task: (PALETTE[i % MOST], MARKERS[i % MOST]) for i, task in enumerate(tasks)}
    entries = [Line2D([], [], ls="none", marker=m, color=c, ms=4, label=plain(task)) for task, (c, m) in looks.items()]
    across = panels_across(given.width, len(charts), 2.2)
    rows = -(-len(charts) // across)
    high = min(0.8 * given.width / across, 2.7)
    figure, (part,) = sheet(
        given.width,
        [high * rows + 0.4],
        legend=entries,
        remarks=["Thin lines: 95 % intervals. ρ: Spearman's rank correlation.", *remarks],
    )
    places = panels(part, len(charts), across, share_y=True)
    (first, *more) = charts
    heading(part, given.about("ID accuracy and AUROC" if more else first), given.width)
    for axes, (title, rows_of) in zip(places, charts.items(), strict=True):
        _draw(axes, rows_of, looks)
        axes.margins(x=_margin([pair[0].title for pair in rows_of], given.width / across - 0.6))
        said = rank_correlation(rows_of)
        panel_title(axes, ", ".join(filter(None, [title if more else "", said])), given.width / across - 0.35)
    part.supxlabel("ID accuracy (%)", fontsize=7)
    part.supylabel(wrapped(f"mean AUROC over {given.over} (%)", high * rows, 7), fontsize=7)
    figure.draw_without_rendering()
    left = []
    for axes, rows_of in zip(places, charts.values(), strict=True):
        xs, ys = [x for x, _ in map(_place, rows_of.values())], [y for _, y in map(_place, rows_of.values())]
        left += name_points(figure, axes, xs, ys, [pair[0].title for pair in rows_of])
    return figure, left


def _charts(given: Given, means: Mapping[Pair, Result]) -> dict[str, dict[Pair, Result]]:
    """Return what stands in each panel, by its title; those with one model are left out."""
    if given.scores:
        series: dict[Series, dict[Pair, Result]] = {}
        for pair, row in means.items():
            series.setdefault(pair[1], {})[pair] = row
        return {one.title: rows for one, rows in series.items() if len(rows) > 1}
    best: dict[str, Pair] = {}
    for pair, row in means.items():
        there = best.get(pair[0].name)
        if there is None or (row.auroc or 0) > (means[there].auroc or 0):
            best[pair[0].name] = pair
    rows = {pair: means[pair] for pair in best.values()}
    return {"each model with its best score": rows} if len(rows) > 1 else {}


def _place(row: Result) -> tuple[float, float]:
    return 100 * (row.id_accuracy or 0.0), 100 * (row.auroc or 0.0)


def _margin(names: Sequence[str], width: float) -> float:
    """Return how much wider an axis is than what it shows: at its ends too names stand above and below points."""
    half = min(widest(names, SMALL) / 2 + 0.03, 0.2 * width)
    return max(0.12, half / (width - 2 * half))


def _draw(axes: Axes, rows: Mapping[Pair, Result], looks: Mapping[str, tuple[str, str]]) -> None:
    for pair, row in rows.items():
        x, y = _place(row)
        colour, marker = looks[pair[0].pretext]
        if row.auroc_low is not None and row.auroc_high is not None:
            axes.vlines(x, 100 * row.auroc_low, 100 * row.auroc_high, color=colour, lw=0.7)
        axes.plot(x, y, marker=marker, color=colour, ms=4.5, mec="white", mew=0.5, ls="none", zorder=3)
    axes.margins(y=0.12)
    below_hundred(axes)
    axes.grid(color=PALE, lw=0.5)
    if axes.get_ylim()[0] < CHANCE:
        axes.axhline(CHANCE, **CHANCE_LINE)


def rank_correlation(rows: Mapping[Pair, Result]) -> str:
    """Return Spearman's ρ of accuracy and AUROC in words; nothing where there are few models or all are equal."""
    from scipy.stats import rankdata

    if len(rows) < 4:
        return ""
    first, second = (rankdata([_place(row)[i] for row in rows.values()]) for i in (0, 1))
    first, second = first - first.mean(), second - second.mean()
    scale = float((first @ first * (second @ second)) ** 0.5)
    return f"ρ = {float(first @ second) / scale:.2f}".replace("-", "−") if scale else ""
