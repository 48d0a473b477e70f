"""AUROC against a parameter that was swept, or against the share of wrong labels: a line for each score and model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullLocator

from moodbench.errors import ResultsError, UsageError
from moodbench.params import LABEL_NOISE, LABEL_NOISE_SEED, is_tuned, joined, parsed
from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Given
from moodbench.plots.parts import (
    MOST,
    PALE,
    heading,
    line_look,
    panel_title,
    panels,
    panels_across,
    sheet,
)
from moodbench.types import MEAN, Result

WIDE = 20.0
"""Values of which the largest is so many times the smallest stand on a logarithmic axis."""

MOST_TICKS = 8
HEIGHT, LOWER = 1.7, 1.25
"""Inches of a panel alone, and of one among others."""

SHADE = 0.15


@dataclass(frozen=True)
class Line:
    """A score on a model whose parameters are the same but for the one that was swept.

    Attributes
    ----------
    model, score, others : str
        `others` are the other parameters, as results say them.
    points : mapping of value to Result
    """

    model: str
    score: str
    others: str
    points: Mapping[str, Result] = field(compare=False)


@PLOTS.register("sweep")
@as_plot(width="column", without={"ood": "shows the mean over a group"})
def sweep(given: Given) -> Figure:
    """Draw the mean AUROC against a parameter, with its 95 % interval.

    All lines stand in one panel where that tells them apart, else those of each model in one of their own.
    """
    means = [row for row in (*given.results, *given.noisy) if (row.ood, row.group) == (MEAN, given.group)]
    name, lines = chosen_lines(given.index.benchmark, means, given.param)
    models = {model.name: place for place, model in enumerate(given.in_order)}
    scores = {score: place for place, score in reversed([*enumerate(one.score for one in given.series)])}
    lines.sort(key=lambda line: (scores[line.score], models[line.model], line.others))
    parted = _parted(lines, sorted(models, key=lambda model: models[model]))
    keys = _keys(given, lines, apart=len(parted) > 1)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys[line] for line in lines))}
    if len(numbers) > MOST:
        raise UsageError(
            f"{len(numbers)} lines do not fit one picture, which tells at most {MOST} apart",
            fix="name fewer with --model and --score",
        )
    legend = [Line2D([], [], **line_look(at), marker="o", ms=3, label=plain(key)) for key, at in numbers.items()]
    assert given.width is not None
    across = panels_across(given.width, len(parted))
    figure, (part,) = sheet(
        given.width,
        [(HEIGHT if len(parted) == 1 else LOWER * math.ceil(len(parted) / across)) + 0.35],
        legend=legend if len(lines) > 1 else (),
        remarks=[
            *given.trials(line.model for line in lines),
            f"Mean over {given.over}; shaded: 95 % intervals.",
            *given.without_auroc(),
        ],
    )
    places = _places(name, lines)
    for axes, some in zip(panels(part, len(parted), across, share_y=True), parted, strict=True):
        for line in some:
            _draw(axes, line, places, line_look(numbers[keys[line]]))
        _dress(axes, places)
        if len(parted) > 1:
            panel_title(axes, given.titles.model(some[0].model), given.width / across - 0.3)
    heading(part, given.about(_what(given, lines, keys)), given.width)
    part.supylabel("AUROC (%)", fontsize=7)
    wrong = "labels of ID train that are wrong (%)"
    part.supxlabel(wrong if name == LABEL_NOISE else plain(name), fontsize=7)
    return figure


def _what(given: Given, lines: Sequence[Line], keys: Mapping[Line, str]) -> str:
    """Return what all lines have in common, in words."""
    scores, models = {line.score for line in lines}, {line.model for line in lines}
    if len(lines) == 1:
        return f"mean AUROC of {keys[lines[0]]}"
    if len(scores) == 1:
        return f"mean AUROC of {given.titles.scores.get(lines[0].score, lines[0].score)}"
    return f"mean AUROC of scores on {given.titles.model(lines[0].model)}" if len(models) == 1 else "mean AUROC"


def chosen_lines(benchmark: str, means: Iterable[Result], param: str | None) -> tuple[str, list[Line]]:
    """Return the parameter that is drawn, and its lines.

    Parameters
    ----------
    benchmark : str
    means : iterable of Result
        Mean rows of one group.
    param : str, optional
        ``NAME`` or ``SCORE.NAME``, or ``label_noise``; by default the one that has several values.

    Raises
    ------
    ResultsError
        None has several values, or not the one that is named.
    UsageError
        Several have, and none is named.
    """
    score, _, wanted = (param or "").rpartition(".")
    found = {name: lines for name, lines in _swept(means).items() if wanted in ("", name)}
    if score:
        found = {name: [line for line in lines if line.score == score] for name, lines in found.items()}
    found = {name: lines for name, lines in found.items() if lines}
    if not found:
        what = f"the parameter '{param}'" if param else "any parameter"
        asks = "--label-noise 0.1,0.2" if wanted == LABEL_NOISE else "--score knn --param knn.k=1,10,100"
        raise ResultsError(
            f"'{benchmark}' has no results with several values of {what}",
            fix=f"moodbench score --benchmark {benchmark} {asks}",
        )
    if len(found) > 1:
        raise UsageError(
            f"several parameters were swept: {', '.join(sorted(found))}", fix=f"name one: --param {min(found)}"
        )
    return found.popitem()


def _swept(means: Iterable[Result]) -> dict[str, list[Line]]:
    """Return the lines of every parameter that has several values."""
    points: dict[str, dict[tuple[str, str, str], dict[str, Result]]] = {}
    for row in means:
        if row.auroc is None or is_tuned(row.params):
            continue
        values = parsed(row.params)
        noise = {LABEL_NOISE: values.pop(LABEL_NOISE, "0")}
        values.pop(LABEL_NOISE_SEED, None)
        for name in noise if noise[LABEL_NOISE] != "0" else (*values, LABEL_NOISE):
            others = joined({key: value for key, value in values.items() if key != name})
            its = points.setdefault(name, {}).setdefault((row.model, row.score, others), {})
            its[{**values, **noise}[name]] = row
    lines = {
        name: [Line(*key, its) for key, its in of.items() if len(its) > 1]
        for name, of in points.items()
        if name != "seed"
    }
    return {name: some for name, some in lines.items() if some}


def _parted(lines: Sequence[Line], models: Sequence[str]) -> list[list[Line]]:
    """Return the lines of each panel: all in one, or, where these are too many, those of each model."""
    if len(lines) <= MOST:
        return [list(lines)]
    return [some for model in models if (some := [line for line in lines if line.model == model])]


def _keys(given: Given, lines: Sequence[Line], *, apart: bool) -> dict[Line, str]:
    """Return what each line is called: by what differs of score, model and the other parameters."""
    places = [(line.score, line.model) for line in lines]
    of_models, of_scores = {line.model for line in lines}, {line.score for line in lines}
    found = {}
    for line, place in zip(lines, places, strict=True):
        score, model = given.titles.scores.get(line.score, line.score), given.titles.model(line.model)
        several = f" ({_apart(line, lines)})" if places.count(place) > 1 else ""
        if apart or (len(of_models) == 1 and len(lines) > 1):
            found[line] = score + several
        elif len(of_scores) == 1 and len(lines) > 1:
            found[line] = model + several
        else:
            found[line] = f"{score}{several} on {model}"
    return found


def _apart(line: Line, lines: Iterable[Line]) -> str:
    """Return the other parameters of a line in which it differs from lines of the same score and model."""
    alike = [parsed(other.others) for other in lines if (other.score, other.model) == (line.score, line.model)]
    mine = parsed(line.others).items()
    return ", ".join(f"{name}={value}" for name, value in mine if any(some.get(name) != value for some in alike))


def _places(name: str, lines: Iterable[Line]) -> dict[str, float]:
    """Return value → where it stands on the axis: a number at itself, words side by side."""
    values = sorted({value for line in lines for value in line.points})
    try:
        found = {value: float(value) for value in values}
    except ValueError:
        return {value: float(place) for place, value in enumerate(values)}
    factor = 100 if name == LABEL_NOISE else 1
    return {value: factor * at for value, at in sorted(found.items(), key=lambda item: item[1])}


def _draw(axes: Axes, line: Line, places: Mapping[str, float], look: Mapping[str, Any]) -> None:
    values = [value for value in places if value in line.points]
    at = [places[value] for value in values]
    rows = [line.points[value] for value in values]
    axes.plot(at, [100 * (row.auroc or 0) for row in rows], marker="o", ms=2.5, **look)
    limits = [(row.auroc_low, row.auroc_high) for row in rows]
    if all(low is not None for low, _ in limits):
        low, high = ([100 * (limit or 0) for limit in side] for side in zip(*limits, strict=True))
        axes.fill_between(at, low, high, color=look["color"], alpha=SHADE, lw=0)


def _dress(axes: Axes, places: Mapping[str, float]) -> None:
    """Put ticks at the values, on a logarithmic axis where they reach far."""
    at = list(places.values())
    words = any(str(value) in ("True", "False") or not _is_number(value) for value in places)
    if not words and at[0] > 0 and at[-1] / at[0] >= WIDE:
        axes.set_xscale("log")
    if len(at) <= MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(at))
        axes.xaxis.set_major_formatter(FixedFormatter(list(places) if words else [f"{x:g}" for x in at]))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=PALE, lw=0.5)
    axes.margins(x=0.05)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
