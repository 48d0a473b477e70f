"""Bars, heat map and correlation: what is drawn equals the results and the row scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.correlation import rank_correlations
from moodbench.types import MEAN
from tests.plots import auroc_of, drawn, splits, texts, world


def found(given, pair, ood, group=None):
    (row,) = [
        row
        for row in given.results
        if (row.model, row.score, row.ood) == (pair[0].name, pair[1].score, ood)
        and (group is None or row.group == group)
    ]
    return row


def test_bars_reach_from_chance_to_the_auroc_and_lines_are_intervals():
    given = replace(world(2, 1), models=("model00", "model01"))
    pairs = given.pairs(8)
    (axes,) = drawn("bars", given).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [*given.datasets, "mean"]
    bars = {round(bar.get_y() + bar.get_height() / 2, 6): bar for bar in axes.patches}
    assert len(bars) == 8
    lines = {round(path[0][1], 6): (path[0][0], path[1][0]) for c in axes.collections for path in c.get_segments()}
    expected = {}
    for place, name in enumerate([*given.datasets, MEAN]):
        for pair in pairs:
            row = found(given, pair, name, "all" if name == MEAN else None)
            expected[pair, place] = (100 * row.auroc, (100 * row.auroc_low, 100 * row.auroc_high))
    for (at, bar), ((_, place), (value, interval)) in zip(
        sorted(bars.items()),
        sorted(expected.items(), key=lambda item: (item[0][1], pairs.index(item[0][0]))),
        strict=True,
    ):
        assert round(at) == place
        assert bar.get_x() + bar.get_width() == pytest.approx(value)
        assert bar.get_x() == 50
        assert lines[at] == pytest.approx(interval)


def test_chosen_datasets_have_no_mean():
    (axes,) = drawn("bars", replace(world(1, 1), oods=("ood00",))).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ood00"]


def test_the_heat_map_holds_every_number():
    given = replace(world(3, 2, 4), scores=("score00", "score01"))
    figure = drawn("heatmap", given)
    axes = figure.axes[0]
    values = np.asarray(axes.collections[0].get_array()).reshape(6, 5)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == [*given.datasets, "mean"]
    for y, title in enumerate(rows):
        score, model = title.split(" on ")
        for x, name in enumerate(given.datasets):
            expected = auroc_of(int(model[5:]), int(score[5:]), int(name[3:]))
            assert values[y, x] == pytest.approx(100 * expected)
            assert any(text.startswith(f"{100 * expected:.1f}") for text in texts(figure))


def test_cells_without_a_number_are_white_and_empty():
    given = world(2, 1)
    rows = [row for row in given.results if (row.model, row.ood) != ("model00", "ood01") and row.ood != MEAN]
    axes = drawn("heatmap", replace(given, results=rows, models=("model00", "model01"))).axes[0]
    array = np.ma.asarray(axes.collections[0].get_array()).reshape(2, 3)
    assert int(array.mask.sum()) == 1
    assert len(axes.texts) == 5


def test_what_all_rows_share_is_said_once():
    figure = drawn(
        "heatmap",
        replace(world(3, 2), scores=("score00",), results=[r for r in world(3, 2).results if r.score == "score00"]),
    )
    assert "b: AUROC of score00" in texts(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["model00", "model01", "model02"]


def test_correlations_are_spearmans_averaged_over_models():
    given = world(3, 4)
    axes = drawn("correlation", given).axes[0]
    values = np.asarray(axes.collections[0].get_array()).reshape(4, 4)
    each = []
    for model in given.in_order:
        rows = splits([(model, one) for one in given.series])
        pooled = [np.concatenate([some[0].id, *(s.ood for s in some)]) for some in rows.values()]
        each.append(spearmanr(np.array(pooled).T).statistic)
    assert values == pytest.approx(np.mean(each, axis=0))
    assert [label.get_text() for label in axes.get_yticklabels()] == [one.title for one in given.series]


def test_ties_and_constants_in_rank_correlations():
    rng = np.random.default_rng(0)
    some = [{"a": rng.integers(0, 4, 50).astype(float)} for _ in range(3)]
    matrix = rank_correlations([*some, {"a": np.zeros(50)}])
    assert matrix[:3, :3] == pytest.approx(spearmanr(np.array([one["a"] for one in some]).T).statistic)
    assert np.isnan(matrix[3]).all()


def test_one_score_has_nothing_to_be_correlated_with():
    with pytest.raises(ResultsError, match="no other score"):
        drawn("correlation", world(2, 1))
    with pytest.raises(UsageError, match="'score00' alone"):
        drawn("correlation", replace(world(2, 1), scores=("score00",)))
