"""Ranges of numbers by predicted class, and which views the score on Gram matrices reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.errors import ScoreError
from moodbench.scores.base import create_score
from moodbench.scores.gram import RangesByPrediction
from tests.worlds import fit, make_world

VIEW = "view-gram-blocks.0"


def ranges(blocks):
    statistic = RangesByPrediction(VIEW, 5)
    for block in blocks:
        statistic.update(block)
    return statistic


def test_ranges_merge_and_leave_held_out_rows_aside():
    world = make_world(3, rows=203)
    (whole,) = world.blocks(203)
    kept = torch.arange(203) % 10 != 9
    values, predicted = whole.views[VIEW].features[kept], whole.predicted[kept]
    blocks = world.blocks(17)
    first, second = ranges(blocks[:5]), ranges(blocks[5:])
    first.merge(second)
    first.merge(ranges([]))
    empty = ranges([])
    empty.merge(first)
    for found in (ranges([whole]).finalize(), first.finalize(), empty.finalize()):
        for k in range(5):
            np.testing.assert_array_equal(found.low[k], values[predicted == k].amin(0))
            np.testing.assert_array_equal(found.high[k], values[predicted == k].amax(0))


def test_a_class_that_is_never_predicted_has_the_range_of_all_rows():
    world = make_world(3)
    bias = world.bias.copy()
    bias[2] = -1e4
    (whole,) = world.with_(bias=bias).blocks(400)
    assert not (whole.predicted == 2).any()
    found = ranges([whole]).finalize()
    np.testing.assert_array_equal(found.low[2], found.low[[0, 1, 3, 4]].amin(0))
    np.testing.assert_array_equal(found.high[2], found.high[[0, 1, 3, 4]].amax(0))


def test_rows_within_the_ranges_score_zero_and_the_others_less():
    world = make_world(3)
    score = fit(["gram"], world)["gram"]
    found = score.score(world.block(world.train)).numpy()
    held_out = np.arange(400) % 10 == 9
    assert np.abs(found[~held_out]).max() < 1e-4
    # two layers, each in units of the mean of these rows
    assert found[held_out].mean() == pytest.approx(-2, rel=1e-3)


def test_views_are_those_that_begin_so_one_of_each_layer():
    cached = ["layer-a", "view-gram-a", "view-gram-b", "view-gram-b-powers3", "view-grams-a"]
    assert create_score("gram", {"view": "gram-a"}).views_among(cached) == ("view-gram-a",)
    assert create_score("gram", {"view": "gram-b"}).views_among(cached) == ("view-gram-b",)
    chosen = create_score("gram", {"view": "gram-b-powers3+gram-a"})
    assert chosen.views_among(cached) == ("view-gram-a", "view-gram-b-powers3")
    with pytest.raises(ScoreError, match="gram-b and gram-b-powers3"):
        create_score("gram").views_among(cached)
    assert len(create_score("gram").views_counted(cached)) == 3  # with which it is refused for the same reason
    with pytest.raises(ScoreError, match="no view 'gram-c'"):
        create_score("gram", {"view": "gram-a+gram-c"}).views_among(cached)
