"""ID and OOD test rows in the plane of the features' first two principal components."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.base import PLOTS, as_plot, plain
from moodbench.plots.given import Array, Features, Given
from moodbench.plots.parts import PALETTE, heading, panel_title, panels_across, sheet
from moodbench.tables.order import Model

ROWS = 400
"""Of a dataset, at most: more would cover one another, and make files large."""

TOGETHER = 5
"""OOD datasets in one panel; of more each has its own."""

MOST_MODELS = 12

MARKERS = ("^", "s", "v", "D", "X")

Look = tuple[str, str]

ID_LOOK: Look = (PALETTE[-1], "o")
"""Black, for in one panel blue would be taken for the sky blue of an OOD dataset."""


@dataclass(frozen=True)
class Plane:
    """Rows of one model in two dimensions.

    Attributes
    ----------
    id : (n, 2) float64
    ood : mapping of name to (m, 2) float64
    shares : tuple of two float
        Of the variance, along each axis.
    """

    id: Array
    ood: Mapping[str, Array]
    shares: tuple[float, float]


@PLOTS.register("embedding")
@as_plot(without={"score": "shows features, before any score"})
def embedding(given: Given) -> Figure:
    """Draw the features of each named model, or of the one with the best pair, projected onto two components.

    The components are those of the ID and OOD rows that are drawn, together: a plane fitted to ID rows alone would hide
    whatever sets OOD apart. Of more OOD datasets than colours can tell, each has a panel.
    """
    assert given.width is not None
    models = _models(given)
    names = given.datasets
    apart = len(names) > TOGETHER
    if apart and len(models) > 1:
        raise UsageError(
            f"{len(models)} models with {len(names)} OOD datasets each do not fit one picture",
            fix=f"name one model with --model, or at most {TOGETHER} datasets with --ood",
        )
    looks = {name: (PALETTE[1], "^") if apart else (PALETTE[1 + i], MARKERS[i]) for i, name in enumerate(names)}
    planes = [plane_of(given.features(model, ROWS)) for model in models]
    if apart:
        (plane,) = planes
        charts = [(given.dataset(n), Plane(plane.id, {n: rows}, plane.shares)) for n, rows in plane.ood.items()]
    else:
        charts = [(model.title, plane) for model, plane in zip(models, planes, strict=True)]
    entries = [_entry("ID", ID_LOOK)]
    entries += [_entry("OOD", (PALETTE[1], "^"))] if apart else [_entry(given.dataset(n), looks[n]) for n in looks]
    across = panels_across(given.width, len(charts), 1.3 if apart else 1.6)
    rows = math.ceil(len(charts) / across)
    figure, (part,) = sheet(
        given.width,
        [min(0.86 * given.width / across, 3.4) * rows + 0.35],
        legend=entries,
        remarks=[
            *given.trials(model.name for model in models),
            f"Principal components of the rows drawn: at most {ROWS} of each dataset, evenly spread.",
        ],
    )
    heading(part, given.about(f"features of {models[0].title}" if len(models) == 1 else "features"), given.width)
    grid = part.subplots(rows, across, squeeze=False, sharex=apart, sharey=apart)
    for number, axes in enumerate(grid.flat):
        if number >= len(charts):
            axes.remove()
            continue
        title, plane = charts[number]
        _scatter(axes, plane, looks)
        if len(charts) > 1:
            panel_title(axes, title, given.width / across - 0.25)
        if not apart:
            axes.set_xlabel(_axis(1, plane))
            axes.set_ylabel(_axis(2, plane))
    if apart:
        part.supxlabel(_axis(1, planes[0]), fontsize=7)
        part.supylabel(_axis(2, planes[0]), fontsize=7)
    return figure


def _models(given: Given) -> list[Model]:
    if not given.models:
        return [given.pairs(1)[0][0]]
    if not given.datasets:
        raise ResultsError("there is no OOD dataset with results to draw", fix="run moodbench score first")
    if len(given.models) > MOST_MODELS:
        raise UsageError(f"{len(given.models)} models do not fit one picture", fix=f"name at most {MOST_MODELS}")
    return [model for model in given.in_order if model.name in given.models]


def plane_of(features: Features) -> Plane:
    """Return rows in the plane of the two directions in which all of them together vary most.

    The sign of a direction is such that its largest part is positive: nothing else fixes it.
    """
    every = np.concatenate([features.id, *features.ood.values()]).astype(np.float64)
    centre = every.mean(axis=0)
    values, vectors = np.linalg.eigh((every - centre).T @ (every - centre))
    top = vectors[:, ::-1][:, :2]
    top = top * np.sign(top[np.abs(top).argmax(axis=0), [0, 1][: top.shape[1]]])
    if top.shape[1] < 2:  # one feature
        top = np.c_[top, np.zeros(len(top))]
    whole = float(values.sum()) or 1.0
    first, second = (float(values[-1 - i]) / whole if len(values) > i else 0.0 for i in (0, 1))
    return Plane(
        (features.id - centre) @ top,
        {name: (rows - centre) @ top for name, rows in features.ood.items()},
        (max(first, 0.0), max(second, 0.0)),
    )


def _scatter(axes: Axes, plane: Plane, looks: Mapping[str, Look]) -> None:
    """Draw rows in an order that is fixed and mixes the datasets, so that none lies on top of the others."""
    for part in range(4):
        _dots(axes, plane.id[part::4], ID_LOOK, part)
        for name, rows in plane.ood.items():
            _dots(axes, rows[part::4], looks[name], part)
    axes.set_xticks([])
    axes.set_yticks([])


def _dots(axes: Axes, rows: Array, look: Look, order: int) -> None:
    axes.plot(
        rows[:, 0], rows[:, 1], look[1], color=look[0], ms=2.2, mew=0, alpha=0.6, ls="none", zorder=2 + order / 10
    )


def _entry(name: str, look: Look) -> Line2D:
    return Line2D([], [], ls="none", marker=look[1], ms=4, color=look[0], label=plain(name))


def _axis(number: int, plane: Plane) -> str:
    return f"PC {number} ({100 * plane.shares[number - 1]:.0f} % of variance)"
