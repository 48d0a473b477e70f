"""AUROC of many pairs on every OOD dataset, as colours, and as numbers with their intervals where there is room."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from moodbench.plots.base import PLOTS, as_plot
from moodbench.plots.given import Given, Pair, pair_title
from moodbench.plots.matrix import Matrix, matrix_figure
from moodbench.types import MEAN, Result

MOST_ROWS = 400

LOWEST = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0)
"""Percent at which the scale of colours may begin: as high as all numbers allow, so that they are told apart."""


@PLOTS.register("heatmap")
@as_plot(width="text")
def heatmap(given: Given) -> Figure:
    """Draw pairs of model and score in rows, OOD datasets and their mean in columns; or the other way round.

    Of named models or scores all pairs are shown, and where nothing is named each model with its best score.
    """
    pairs = given.pairs(MOST_ROWS, table=True)
    names = [name for name in given.datasets if any(name in given.cells[pair] for pair in pairs)]
    means = {} if given.oods else {pair: given.means[pair] for pair in pairs if pair in given.means}
    places = [*names, *([MEAN] if means and len(names) > 1 else [])]
    rows = [[means.get(p) if name == MEAN else given.cells[p].get(name) for name in places] for p in pairs]
    values = np.array([[np.nan if row is None else 100 * (row.auroc or 0.0) for row in line] for line in rows])
    words = [
        [("", "") if row is None else (f"{100 * (row.auroc or 0.0):.1f}", _half(row)) for row in line] for line in rows
    ]
    heading, titles = _titles(pairs)
    columns = ["mean" if name == MEAN else given.dataset(name) for name in places]
    matrix = Matrix(titles, columns, values, words)
    least = float(np.nanmin(values))
    low = max((end for end in LOWEST if end <= least), default=least)
    about = "AUROC (%)" + (
        " ± half of its 95 % interval" if any(second for line in words for _, second in line) else ""
    )
    return matrix_figure(
        matrix if len(pairs) >= len(places) or _narrow(matrix) else matrix.turned(),
        given.width,
        heading=given.about(heading),
        norm=Normalize(low, 100),
        colours="cividis",
        about=about,
        remarks=[
            *given.trials(model.name for model, _ in pairs),
            *(["White: no result."] if np.isnan(values).any() else []),
            *given.without_auroc(),
        ],
    )


def _narrow(matrix: Matrix) -> bool:
    """Whether there are few enough columns to be read in rows of pairs."""
    return len(matrix.columns) <= 8


def _half(row: Result) -> str:
    if row.auroc_low is None or row.auroc_high is None:
        return ""
    return f"±{50 * (row.auroc_high - row.auroc_low):.1f}"


def _titles(pairs: list[Pair]) -> tuple[str, list[str]]:
    """Return what all pairs share, and what tells them apart."""
    models, series = ({pair[side] for pair in pairs} for side in (0, 1))
    if len(models) == 1 and len(pairs) > 1:
        return f"AUROC of scores on {pairs[0][0].title}", [one.title for _, one in pairs]
    if len(series) == 1 and len(pairs) > 1:
        return f"AUROC of {pairs[0][1].title}", [model.title for model, _ in pairs]
    return "AUROC on each OOD dataset", [pair_title(pair) for pair in pairs]
