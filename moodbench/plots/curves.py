"""ROC and precision–recall curves of ID against OOD test rows; ID is positive, as it is for FPR95."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Array, Given, Pair, Split, pair_title
from moodbench.plots.parts import (
    CHANCE_LINE,
    MOST,
    PALE,
    heading,
    line_look,
    panel_title,
    panels,
    panels_across,
    sheet,
)
from moodbench.ranking import Comparison, Ranking
from moodbench.sizes import in_percent

WIDE = 4.5
"""Inches from which on there is room for a panel of each OOD dataset."""

LEVELS = 150
"""Of either axis, at which a curve keeps its points: more than can be seen."""

POINT: dict[str, Any] = {"marker": "o", "ms": 3.2, "mec": "white", "mew": 0.5, "ls": "none"}


@dataclass(frozen=True)
class Curve:
    """Points of a curve, in percent, and the point at which 95 % of the ID rows are kept."""

    x: Array
    y: Array
    point: tuple[float, float]


@dataclass(frozen=True)
class Counts:
    """At every threshold, falling: how many ID and OOD rows score at least that.

    Attributes
    ----------
    kept, accepted : (k,) float64
    n_id, n_ood : int
    at : int
        Index of the threshold of FPR95.
    """

    kept: Array
    accepted: Array
    n_id: int
    n_ood: int
    at: int

    @staticmethod
    def of(against: Comparison) -> Counts:
        scores = np.concatenate([against.id, against.ood])
        thresholds = np.unique(scores)[::-1]
        kept = against.id.size - np.searchsorted(against.id, thresholds, side="left")
        accepted = against.ood.size - np.searchsorted(against.ood, thresholds, side="left")
        fpr95 = against.id[against.id.size - max(int(np.floor(0.95 * against.id.size)), 1)]
        at = int(np.flatnonzero(thresholds == fpr95)[0])
        return Counts(kept.astype(float), accepted.astype(float), against.id.size, against.ood.size, at)

    def few(self) -> Array:
        """Return indices of the points that are enough to draw: those next to levels of either count."""
        if self.kept.size <= 2 * LEVELS:
            return np.arange(self.kept.size, dtype=np.float64)
        levels = np.linspace(0, 1, LEVELS)
        near = [np.searchsorted(counts, levels * counts[-1]) for counts in (self.kept, self.accepted)]
        found = np.unique(np.concatenate([*near, [0, self.at, self.kept.size - 1]]).clip(max=self.kept.size - 1))
        return found.astype(np.float64)


def roc_curve(counts: Counts) -> Curve:
    """Return FPR on x and TPR on y, from (0, 0); straight lines over ties, so that the area below is the AUROC."""
    some = counts.few().astype(int)
    x, y = 100 * counts.accepted / counts.n_ood, 100 * counts.kept / counts.n_id
    return Curve(np.r_[0.0, x[some]], np.r_[0.0, y[some]], (float(x[counts.at]), float(y[counts.at])))


def precision_recall_curve(counts: Counts) -> Curve:
    """Return recall on x and precision on y; each precision holds for the recalls up to its own, as in AUPR."""
    some = counts.few().astype(int)
    some = some[counts.kept[some] > 0]
    x, y = 100 * counts.kept / counts.n_id, 100 * counts.kept / (counts.kept + counts.accepted)
    return Curve(np.r_[0.0, x[some]], np.r_[y[some[0]], y[some]], (float(x[counts.at]), float(y[counts.at])))


@dataclass(frozen=True)
class Kind:
    """What tells ROC from precision–recall."""

    title: str
    curve: Callable[[Counts], Curve]
    x: str
    y: str
    number: Callable[[Comparison], str]
    look: Mapping[str, Any]
    chance: Callable[[Split], tuple[tuple[float, float], tuple[float, float]]]


ROC = Kind(
    "ROC curves",
    roc_curve,
    "FPR: OOD taken for ID (%)",
    "TPR: ID kept (%)",
    lambda c: f"AUROC {in_percent(c.auroc):.2f}, FPR95 {in_percent(c.fpr()):.2f}",
    {},
    lambda split: ((0, 100), (0, 100)),
)

PR = Kind(
    "precision–recall curves",
    precision_recall_curve,
    "recall: ID kept (%)",
    "precision: ID among kept (%)",
    lambda c: f"AUPR-IN {in_percent(c.aupr_in):.2f}",
    {"drawstyle": "steps-pre"},
    lambda split: ((0, 100), (100 * split.id.size / (split.id.size + split.ood.size),) * 2),
)


@PLOTS.register("roc")
@as_plot()
def roc(given: Given) -> Figure:
    """Draw ROC curves: a panel for each OOD dataset; of one pair, in a column, a curve for each in one panel."""
    return _figure(given, ROC, "The point: 95 % of ID kept (FPR95).")


@PLOTS.register("pr")
@as_plot()
def precision_recall(given: Given) -> Figure:
    """Draw precision–recall curves with ID positive; laid out as `roc`."""
    return _figure(
        given, PR, "The point: 95 % of ID kept, as for FPR95. Precision depends on the numbers of ID and OOD rows."
    )


def _figure(given: Given, kind: Kind, about: str) -> Figure:
    pairs = given.pairs(MOST)
    drawn = given.samples(pairs)
    ranked: dict[int, Ranking] = {}  # by ID rows: each array of them is sorted once
    against = {
        (pair, split.name): ranked.setdefault(id(split.id), Ranking(split.id)).against(split.ood)
        for pair in pairs
        for split in drawn[pair]
    }
    assert given.width is not None
    remarks = [*given.trials(model.name for model, _ in pairs), about, *given.without_auroc(named=True)]
    if len(pairs) == 1 and len(drawn[pairs[0]]) <= MOST and given.width < WIDE:
        return _one_panel(given, kind, remarks, pairs[0], drawn[pairs[0]], against)
    return _panels(given, kind, remarks, pairs, drawn, against)


Against = Mapping[tuple[Pair, str], Comparison]


def _one_panel(
    given: Given, kind: Kind, about: Sequence[str], pair: Pair, splits: Sequence[Split], against: Against
) -> Figure:
    assert given.width is not None
    entries = [
        Line2D(
            [],
            [],
            lw=1.2,
            label=plain(f"{given.dataset(s.name)}: {kind.number(against[pair, s.name])}"),
            **line_look(i),
        )
        for i, s in enumerate(splits)
    ]
    side = min(given.width, 3.6)
    figure, (part,) = sheet(given.width, [0.86 * side + 0.2], legend=entries, remarks=about)
    heading(part, given.about(f"{kind.title} of {pair_title(pair)}"), given.width)
    axes = part.subplots()
    if kind is ROC:
        axes.plot(*kind.chance(splits[0]), **CHANCE_LINE)
    for number, split in enumerate(splits):
        _draw(axes, kind, against[pair, split.name], number)
    _finish(axes, kind)
    axes.set_xlabel(kind.x)
    axes.set_ylabel(kind.y)
    return figure


def _panels(
    given: Given,
    kind: Kind,
    about: Sequence[str],
    pairs: Sequence[Pair],
    drawn: Mapping[Pair, Sequence[Split]],
    against: Against,
) -> Figure:
    assert given.width is not None
    names = [n for n in given.datasets if any(split.name == n for pair in pairs for split in drawn[pair])]
    across = panels_across(given.width, len(names), 1.45)
    entries = [Line2D([], [], lw=1.2, label=plain(pair_title(p)), **line_look(i)) for i, p in enumerate(pairs)]
    high = given.width / across
    rows = math.ceil(len(names) / across)
    figure, (part,) = sheet(
        given.width, [0.86 * high * rows + 0.35], legend=entries if len(pairs) > 1 else [], remarks=about
    )
    heading(part, given.about(kind.title if len(pairs) > 1 else f"{kind.title} of {pair_title(pairs[0])}"), given.width)
    for axes, name in zip(panels(part, len(names), across, share_y=True), names, strict=True):
        of = [(number, pair) for number, pair in enumerate(pairs) if (pair, name) in against]
        (first,) = [split for split in drawn[of[0][1]] if split.name == name]
        axes.plot(*kind.chance(first), **CHANCE_LINE)
        for number, pair in of:
            _draw(axes, kind, against[pair, name], number)
        _finish(axes, kind)
        numbers = kind.number(against[of[0][1], name]) if len(of) == 1 else ""
        panel_title(axes, given.dataset(name), high - 0.25, numbers)
    part.supxlabel(kind.x, fontsize=7)
    part.supylabel(kind.y, fontsize=7)
    return figure


def _draw(axes: Axes, kind: Kind, against: Comparison, number: int) -> None:
    curve = kind.curve(Counts.of(against))
    look = line_look(number)
    axes.plot(curve.x, curve.y, clip_on=False, zorder=3, **kind.look, **look)
    axes.plot(*curve.point, color=look["color"], clip_on=False, zorder=4, **POINT)


def _finish(axes: Axes, kind: Kind) -> None:
    axes.grid(color=PALE, lw=0.5)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.tick_params(length=0)
