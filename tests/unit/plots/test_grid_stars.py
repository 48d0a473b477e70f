"""The stars of the grid, the means of the families, stand beside the markers."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure

from moodbench.plots.grid import grid_figure
from moodbench.types import Result

FAMILIES = ("probability", "logit", "feature", "feature+logit")


def scored(models: int, scores: int) -> list[Result]:
    """Results in which all scores of a family are equal, so that a mean is as high as they are."""
    return [
        Result("b", f"m{m}", "hybrid", f"s{s:02}", "", FAMILIES[s % 4], "mean", "all", 9, 9, auroc=0.6 + 0.1 * (s % 4))
        for m in range(models)
        for s in range(scores)
    ]


def places(figure: Figure) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """Return (x, y, half the width) of the stars, and of the markers, all in points."""
    figure.canvas.draw()  # lays it out
    (axes,) = figure.axes
    stars, markers = [], []
    for line in axes.get_lines():
        if line.get_marker() == "None":
            continue
        for x, y in axes.transData.transform(line.get_xydata()) * 72 / figure.dpi:
            (stars if line.get_marker() == "*" else markers).append((x, y, line.get_markersize() / 2))
    return stars, markers


@pytest.mark.parametrize(("models", "scores"), [(1, 8), (5, 9), (9, 20), (5, 79)])
def test_no_star_covers_a_marker(models, scores):
    stars, markers = places(grid_figure(scored(models, scores)))
    assert len(stars) == 4 * models
    for x, y, size in stars:
        distance, half = min((math.dist((x, y), (mx, my)), half) for mx, my, half in markers)
        assert distance > 0.75 * (size + half)  # the arms of a star are narrower than its circle


def test_a_star_stands_in_the_lane_of_its_family():
    figure = grid_figure(scored(1, 8))
    at = {str(line.get_label()): float(line.get_xdata()[0]) for line in figure.axes[0].get_lines()}
    ends = [(max(at[f"s{i:02}"], at[f"s{i + 4:02}"]), at[f"{family} mean"]) for i, family in enumerate(FAMILIES)]
    assert [end for pair in ends for end in pair] == sorted(end for pair in ends for end in pair)
    assert all(-0.5 < x < 0.5 for x in at.values())
