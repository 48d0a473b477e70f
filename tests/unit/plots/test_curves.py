"""ROC and precision–recall: the points of a curve are those of a plain count at every threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from moodbench.plots.curves import LEVELS, Counts, precision_recall_curve, roc_curve
from moodbench.plots.parts import MOST
from moodbench.ranking import Ranking
from tests.plots import drawn, splits, texts, world

SCORES = st.lists(st.integers(-4, 4).map(float) | st.sampled_from([-np.inf, np.inf]), min_size=2, max_size=30)


def plain(of_id, of_ood):
    """Return (FPR, TPR, precision) at every threshold, falling, in percent."""
    for threshold in sorted({*of_id, *of_ood}, reverse=True):
        kept, accepted = sum(x >= threshold for x in of_id), sum(x >= threshold for x in of_ood)
        yield 100 * accepted / len(of_ood), 100 * kept / len(of_id), 100 * kept / (kept + accepted)


@cases(SCORES, SCORES)
def test_curves_are_those_of_plain_counts(of_id, of_ood):
    against = Ranking(of_id).against(of_ood)
    counts = Counts.of(against)
    points = list(plain(of_id, of_ood))
    roc, pr = roc_curve(counts), precision_recall_curve(counts)
    assert np.c_[roc.x, roc.y][1:] == pytest.approx(np.array([(x, y) for x, y, _ in points]))
    assert (roc.x[0], roc.y[0]) == (0, 0)
    assert trapezoid(roc.y, roc.x) / 1e4 == pytest.approx(against.auroc)
    assert roc.point[0] / 100 == pytest.approx(against.fpr())
    assert np.c_[pr.x, pr.y][1:] == pytest.approx(np.array([(y, z) for _, y, z in points if y > 0]))
    area = sum((x1 - x0) * y for x0, x1, y in zip(pr.x, pr.x[1:], pr.y[1:], strict=False)) / 1e4
    assert area == pytest.approx(against.aupr_in)


def test_many_rows_leave_few_points_and_the_ends():
    rng = np.random.default_rng(0)
    against = Ranking(rng.normal(1, 1, 20000)).against(rng.normal(0, 1, 9000))
    counts = Counts.of(against)
    roc = roc_curve(counts)
    assert len(roc.x) < 2.2 * LEVELS
    assert (roc.x[-1], roc.y[-1]) == (100, 100)
    assert trapezoid(roc.y, roc.x) / 1e4 == pytest.approx(against.auroc, abs=1e-4)
    assert any((x, y) == roc.point for x, y in zip(roc.x, roc.y, strict=True))


@pytest.mark.parametrize("kind", ["roc", "pr"])
def test_one_pair_in_a_column_has_one_panel(kind):
    given = world(1, 1)
    figure = drawn(kind, given)
    (axes,) = figure.axes
    (pair,) = given.pairs(1)
    curve = {"roc": roc_curve, "pr": precision_recall_curve}[kind]
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    for line, split in zip(lines, splits([pair])[pair], strict=True):
        expected = curve(Counts.of(Ranking(split.id).against(split.ood)))
        assert line.get_xdata() == pytest.approx(expected.x)
        assert line.get_ydata() == pytest.approx(expected.y)
    points = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert len(points) == 3


def test_the_legend_says_the_numbers():
    given = world(1, 1)
    (pair,) = given.pairs(1)
    said = set(texts(drawn("roc", given)))
    for split in splits([pair])[pair]:
        against = Ranking(split.id).against(split.ood)
        assert f"{split.name}: AUROC {100 * against.auroc:.2f}, FPR95 {100 * against.fpr():.2f}" in said


def test_several_pairs_have_a_panel_for_each_dataset():
    figure = drawn("roc", replace(world(3, 1), models=("model00", "model01", "model02")))
    assert sorted(axes.get_title() for axes in figure.axes) == ["ood00", "ood01", "ood02"]
    assert all(sum(len(line.get_xdata()) > 2 for line in axes.get_lines()) == 3 for axes in figure.axes)


def test_lines_of_a_panel_differ_in_colour_and_dashes():
    figure = drawn("pr", replace(world(MOST, 1), models=tuple(f"model{i:02}" for i in range(MOST))))
    looks = {
        (line.get_color(), str(line.get_linestyle()))
        for line in figure.axes[0].get_lines()
        if len(line.get_xdata()) > 2
    }
    assert len(looks) == MOST
