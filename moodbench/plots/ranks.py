"""Average ranks of models and of scores over OOD datasets: the critical-difference diagram.

References
----------
Demsar, JMLR 7 (2006), section 3.2.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moodbench.average_ranks import LEVEL, average_ranks
from moodbench.choices import By
from moodbench.errors import ResultsError
from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.diagram import Diagram, axis_ticks
from moodbench.plots.dots import dots_height, draw_dots
from moodbench.plots.given import Given
from moodbench.plots.letters import SMALL, in_lines, inches_of, widest
from moodbench.plots.parts import GREY, PALETTE, heading, heading_height, sheet
from moodbench.tables.entrants import Entrant, Pair, field_of
from moodbench.types import ALL_GROUPS, MEAN, Result

TOP, BAR, LEVEL_GAP, LINE = 0.36, 0.065, 0.06, 0.115
"""Inches: from the top to the axis; from a bar to the next; from the lowest bar to the first name; a line of a name."""

NAME, EDGE, HOOK = 6.5, 0.03, 0.07
"""Points of a name; inches beside it, and of the line that leads to it."""

MOST = 20
"""Models or scores in a diagram with names on both sides."""

SIDE = 0.36
"""Share of the width that names and ranks take on each side, at most."""

GAP = "  "
"""Between a name and its rank."""


@PLOTS.register("ranks")
@as_plot(width="column", several=True)
def ranks(given: Given) -> Figure:
    """Draw the average ranks of the models and of the scores, each where there are two or more.

    A model's value on an OOD dataset is its mean AUROC over the scores that all models have, and the other way round.
    What a bar joins is not told apart by Nemenyi's test. Of more than `MOST` each has a line of its own with a dot:
    names on both sides of an axis could not be followed to their ranks.
    """
    assert given.width is not None
    values, datasets = _values(given)
    made = [one for by in ("model", "score") if (one := _diagram(given, values, datasets, by)) is not None]
    if not made:
        raise ResultsError(
            "ranks need two models or scores, and two OOD datasets on which all of them have results",
            fix="score more of them, or choose another --group",
        )
    width = given.width
    heads = [given.about(f"average ranks of {one.kind.lower()} on {one.datasets} OOD datasets") for one in made]
    tops = [heading_height(head, width) + 0.06 for head in heads]
    high = [dots_height(one, width) if _many(one) else _height(one, width) for one in made]
    bodies = [body + top for body, top in zip(high, tops, strict=True)]
    remarks = [*given.trials(row.model for row in given.results), *_remarks(made), *given.without_auroc()]
    figure, parts = sheet(width, bodies, remarks=remarks)
    for one, part, head, body, top in zip(made, parts, heads, bodies, tops, strict=True):
        heading(part, head, width)
        (draw_dots if _many(one) else _draw)(part.subplots(), one, width, body - top)
    return figure


def _values(given: Given) -> tuple[dict[str, dict[Pair, dict[str, float]]], int]:
    """Return the AUROC by benchmark, pair and OOD dataset, of pairs that have all; and how many datasets there are."""
    rows: dict[str, list[Result]] = {}
    for row in given.results:
        shown = row.group == given.group or given.group == ALL_GROUPS
        named = not given.oods or row.ood in given.oods
        known = not row.aside or row.score in given.scores
        if row.ood != MEAN and shown and named and known and row.auroc is not None:
            rows.setdefault(row.benchmark, []).append(row)
    found: dict[str, dict[Pair, dict[str, float]]] = {}
    count = 0
    for benchmark, its in rows.items():
        datasets = dict.fromkeys(row.ood for row in its)
        count += len(datasets)
        of: dict[Pair, dict[str, float]] = {}
        for row in its:
            of.setdefault(Pair(row.model, row.score, row.params), {})[row.ood] = row.auroc or 0.0
        found[benchmark] = {pair: values for pair, values in of.items() if len(values) == len(datasets)}
    return found, count


def _diagram(given: Given, values: dict[str, dict[Pair, dict[str, float]]], datasets: int, by: By) -> Diagram | None:
    if datasets < 2:
        return None
    field = field_of([list(its) for its in values.values()], by)
    if len(field.entrants) < 2:
        return None
    table = [
        [float(np.mean([its[pair][ood] for pair in pairs])) for pairs in field.entrants.values()]
        for its in values.values()
        for ood in next(iter(its.values()))
    ]
    found = average_ranks(table, higher=True)
    titles, others = _titles(given, by), _titles(given, "score" if by == "model" else "model")
    (first, *more) = next(iter(field.entrants.values()))
    kind, other = ("Models", "scores") if by == "model" else ("Scores", "models")
    over = f"by the mean over {field.over} {other}" if more else f"with {others[_other(first, by)]} alone"
    order = np.argsort(found.ranks, kind="stable").tolist()
    return Diagram(kind, over, datasets, [titles[one] for one in field.entrants], found, order)


def _titles(given: Given, by: By) -> dict[Entrant, str]:
    if by == "model":
        return {Entrant(one.name, None, None): one.title for one in given.in_order}
    return {Entrant(None, one.score, one.params): one.title for one in given.series}


def _other(pair: Pair, by: By) -> Entrant:
    return Entrant(None, pair.score, pair.params) if by == "model" else Entrant(pair.model, None, None)


def _many(one: Diagram) -> bool:
    return len(one.order) > MOST


def _remarks(made: Sequence[Diagram]) -> list[str]:
    lines = ["Rank 1: the highest AUROC."]
    if not all(map(_many, made)):
        lines[0] += " A bar joins what Nemenyi's test does not tell apart (critical difference, CD)."
    if any(map(_many, made)):
        lines.append(
            "Shaded, with filled dots: what Nemenyi's test does not tell apart from the best. Of any two that are "
            "closer than the critical difference (CD) it does not tell which is better."
        )
    for one in made:
        p = "p < 0.001" if one.found.p < 0.001 else f"p = {one.found.p:.3f}"
        alike = "" if one.found.p < LEVEL else ", so none is known to differ"
        lines.append(f"{one.kind} {one.over}. Friedman's test (Iman and Davenport's F) that all are alike: {p}{alike}.")
    return lines


def _sides(one: Diagram) -> tuple[list[int], list[int]]:
    """Return the places of names on the left and on the right, each from the top down."""
    half = math.ceil(len(one.order) / 2)
    return list(range(half)), list(range(len(one.order) - 1, half - 1, -1))


def _rank(one: Diagram) -> float:
    """Return the inches of the longest rank with the gap before it."""
    return inches_of(f"{GAP}{one.ranks[-1]:.2f}", NAME)


def _lines(one: Diagram, place: int, width: float) -> list[str]:
    return in_lines(one.names[one.order[place]], SIDE * width - EDGE - HOOK - _rank(one), NAME)


def _height(one: Diagram, width: float) -> float:
    names = max(sum(len(_lines(one, place, width)) for place in side) for side in _sides(one))
    return TOP + BAR * (len(one.alike) + 1) + LEVEL_GAP + LINE * names + 0.05


def _draw(axes: Axes, one: Diagram, width: float, height: float) -> None:
    """Draw in inches: x to the right, y down."""
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    k = len(one.order)
    longest = widest([line for place in range(k) for line in _lines(one, place, width)], NAME)
    side = longest + _rank(one) + EDGE + HOOK

    def x(rank: float) -> float:
        return side + (width - 2 * side) * (rank - 1) / (k - 1)

    _scale(axes, one, x(1), x(k), k)
    for number, (first, last) in enumerate(one.alike, 1):
        y = TOP + BAR * number
        axes.plot([x(one.ranks[first]) - 0.02, x(one.ranks[last]) + 0.02], [y, y], color=PALETTE[1], lw=2, zorder=3)
    for left, places in zip((True, False), _sides(one), strict=True):
        y = TOP + BAR * (len(one.alike) + 1) + LEVEL_GAP
        for place in places:
            lines = [plain(line) for line in _lines(one, place, width)]
            rank = one.ranks[place]
            edge = side - HOOK if left else width - side + HOOK
            middle = y + LINE * len(lines) / 2
            axes.plot([x(rank), x(rank), edge], [TOP, middle, middle], color=GREY, lw=0.6, zorder=2)
            axes.plot([x(rank)], [TOP], marker="o", ms=2.2, color="black", zorder=4)
            look: dict[str, Any] = {"va": "center_baseline", "fontsize": NAME, "linespacing": 1.05}
            look["ha"] = "right" if left else "left"
            at = edge + (-EDGE if left else EDGE)
            axes.text(at, middle, f"{rank:.2f}", **look)
            axes.text(at + (-1 if left else 1) * inches_of(f"{rank:.2f}{GAP}", NAME), middle, "\n".join(lines), **look)
            y += LINE * len(lines)


def _scale(axes: Axes, one: Diagram, left: float, right: float, k: int) -> None:
    """Draw the axis with its numbers, and the critical difference above it."""
    axes.plot([left, right], [TOP, TOP], color="black", lw=0.8)
    step = (right - left) / (k - 1)
    ticks, numbers = axis_ticks(k, step)
    for tick in ticks:
        at = left + (tick - 1) * step
        axes.plot([at, at], [TOP, TOP - (0.04 if tick in numbers else 0.025)], color="black", lw=0.6)
        if tick in numbers:
            axes.text(at, TOP - 0.05, str(tick), ha="center", va="bottom", fontsize=SMALL)
    critical = one.found.critical_difference
    words = f"CD {critical:.2f}"
    if critical > k - 1:
        words = f"{words}, wider than the axis"
        axes.text((left + right) / 2, 0.1, words, ha="center", va="bottom", fontsize=SMALL)
        return
    end = left + critical * step
    axes.plot([left, end], [0.14, 0.14], color=PALETTE[1], lw=1.2)
    for at in (left, end):
        axes.plot([at, at], [0.11, 0.17], color=PALETTE[1], lw=1.2)
    axes.text((left + end) / 2, 0.1, words, ha="center", va="bottom", fontsize=SMALL)
