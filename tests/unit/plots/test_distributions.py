"""Distributions: the densities of what is given, one axis for all panels, and what lies beyond it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moodbench.plots.distributions import BINS, density, edges_of, span
from moodbench.plots.given import Split
from tests.plots import drawn, splits, texts, world


def bars(axes):
    """Return the heights of ID and OOD, and the edges of the bins."""
    filled = [patch for patch in axes.patches if patch.get_fill()]
    (of_id, edges, _), (of_ood, _, _) = (patch.get_data() for patch in filled)
    return of_id, of_ood, edges


def test_each_panel_holds_the_densities_of_its_rows():
    given = world(models=1, scores=1)
    (pair,) = given.pairs(1)
    given_rows = splits([pair])[pair]
    panels = drawn("distributions", given).axes
    assert [axes.get_title() for axes in panels] == ["ood00", "ood01", "ood02"]
    for axes, split in zip(panels, given_rows, strict=True):
        of_id, of_ood, edges = bars(axes)
        for heights, scores in ((of_id, split.id), (of_ood, split.ood)):
            inside = np.clip(scores, edges[0], edges[-1])
            expected, _ = np.histogram(inside, edges, density=True)
            assert heights**2 == pytest.approx(expected)
        kept = np.sort(split.id)[-57]  # the 57th largest of 60 keeps 95 %
        assert [line.get_xdata()[0] for line in axes.get_lines()] == [kept]


def test_the_numbers_in_a_panel_are_those_of_its_rows():
    given = world(models=1, scores=1)
    (pair,) = given.pairs(1)
    for axes, split in zip(drawn("distributions", given).axes, splits([pair])[pair], strict=True):
        wins = np.mean(split.id[:, None] > split.ood) + np.mean(split.id[:, None] == split.ood) / 2
        accepted = np.mean(split.ood >= np.sort(split.id)[-57])
        assert [t.get_text() for t in axes.texts] == [f"AUROC {100 * wins:.2f}, FPR95 {100 * accepted:.2f}"]


def test_panels_of_a_pair_share_their_axis():
    panels = drawn("distributions", world(models=1, scores=1)).axes
    assert len({axes.get_xlim() for axes in panels}) == 1


def test_every_pair_has_panels_and_a_heading():
    figure = drawn("distributions", world(2, 1))
    assert len(figure.axes) == 3
    figure = drawn("distributions", replace(world(2, 1), models=("model00", "model01")))
    assert len(figure.axes) == 6
    assert {"b: distributions of score00 on model00", "b: distributions of score00 on model01"} <= set(texts(figure))


def test_the_axis_reaches_all_rows_unless_they_are_far_from_the_id_rows():
    rng = np.random.default_rng(0)
    of_id = rng.normal(size=500)
    near, far = Split("near", of_id, of_id - 3), Split("far", of_id, of_id - 1e6)
    low, high = span([near])
    assert low < np.quantile(near.ood, 0.005)
    assert high > np.quantile(of_id, 0.995)
    low, high = span([near, far])
    assert -30 < low < np.quantile(near.ood, 0.005)
    edges = np.linspace(low, high, BINS + 1)
    assert density(far.ood, edges)[0] * (edges[1] - edges[0]) == pytest.approx(1)


@pytest.mark.parametrize(("rows", "others", "bins"), [(60, 60, 8), (2000, 60, 8), (1000, 1000, 20), (8, 9000, 4)])
def test_few_rows_are_drawn_in_few_bins(rows, others, bins):
    of_id, ood = np.linspace(0, 1, rows), np.linspace(-1, 1, others)
    low, high = -1.5, 1.5
    edges = edges_of(Split("a", of_id, ood), low, high)
    inside = np.diff(np.quantile(of_id, (0.005, 0.995)))[0] / (edges[1] - edges[0])
    assert inside == pytest.approx(bins, abs=0.5)  # where 99 % of ID are
    assert (edges[0], edges[-1]) == (low, high)


def test_many_rows_are_drawn_in_as_many_bins_as_a_panel_holds():
    rng = np.random.default_rng(0)
    split = Split("a", rng.normal(size=50_000), rng.normal(-2, 1, 50_000))
    assert len(edges_of(split, *span([split]))) - 1 == BINS


@pytest.mark.parametrize("of_id", [np.zeros(9), np.full(9, -np.inf), np.r_[np.zeros(8), np.inf]])
def test_scores_that_are_all_equal_or_infinite_have_an_axis(of_id):
    low, high = span([Split("a", of_id, np.full(4, np.inf))])
    assert np.isfinite([low, high]).all()
    assert low < high
    edges = edges_of(Split("a", of_id, np.full(4, np.inf)), low, high)
    assert 2 <= len(edges) <= BINS + 1
    assert (np.diff(edges) > 0).all()
