"""`rank` over the row scores of two models: what it says, how it matches rows, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import moodbench
from moodbench.commands.cache import remove_caches
from moodbench.errors import ResultsError, UnknownNameError
from moodbench.results import changing, read_results
from moodbench.types import MEAN
from moodbench.workspace import ModelName
from tests.ranked import SIZES, put, run

FIELDS = [
    *("model", "score", "params", "mean", "low", "high"),
    *("difference", "difference_low", "difference_high", "p_adjusted", "not_worse"),
    *("average_rank", "win_rate", "critical_difference", "friedman_p"),
]
"""A contract with those who parse it."""


def ranked(space, **how):
    return moodbench.rank(workspace=space, **{"benchmark": "b", **how})


def test_means_and_intervals_are_those_of_the_results(space):
    run(space, "plain", "noisy")
    for group in ("all", "near", "far"):
        pairs = ranked(space, group=group).pairs
        assert len(pairs) == 4
        for pair in pairs:
            rows = read_results(space.results_file("b", ModelName.parse(pair.model)))
            (row,) = (r for r in rows if (r.score, r.params, r.ood, r.group) == (pair.score, pair.params, MEAN, group))
            assert pair.mean == pytest.approx(row.auroc, abs=1e-9)
            assert (pair.low, pair.high) == pytest.approx((row.auroc_low, row.auroc_high), abs=1e-9)
        assert [pair.mean for pair in pairs] == sorted((pair.mean for pair in pairs), reverse=True)
        best = pairs[0]
        assert (best.difference, best.p_adjusted, best.not_worse) == (0.0, 1.0, True)
        for pair in pairs[1:]:
            assert pair.difference == pytest.approx(pair.mean - best.mean, abs=1e-12)
            assert pair.difference_low <= pair.difference <= pair.difference_high
            assert pair.not_worse == (pair.p_adjusted >= 0.05)


def test_a_tie_is_no_win_and_a_clear_difference_is_one(space):
    run(space, "plain", "noisy", scores=("euclid",))
    one = ranked(space)
    assert [(pair.model, pair.not_worse) for pair in one.pairs] == [("plain", True), ("noisy", False)]
    assert one.answer.endswith("every other pair is significantly worse")
    for name in SIZES:
        put(space, "twin", name, noise=0.01)
    run(space, "twin", scores=("euclid",))
    assert {pair.model: pair.not_worse for pair in ranked(space).pairs} == {"plain": True, "twin": True, "noisy": False}
    assert "; one pair is not significantly worse: " in ranked(space).answer
    assert ranked(space, model="plain").answer.endswith("there is no other pair")


def test_json_and_text(space):
    run(space, "plain", "noisy")
    one = ranked(space)
    records = json.loads(one.json())
    assert [list(record) for record in records] == [FIELDS] * 4
    assert one.text("plain").splitlines()[0] == one.answer
    assert one.answer in str(one).splitlines()[0]
    assert max(map(len, one.text("plain", 60).splitlines())) <= 60
    for format in ("latex", "html"):
        assert "significantly worse" in one.text(format)


def test_rows_are_matched_by_image_whatever_their_order(space):
    run(space, "plain", "noisy")
    before = ranked(space).pairs
    for name in SIZES:
        remove_caches(space, "noisy", name)
        put(space, "noisy", name, noise=4.0, order=np.random.default_rng(1).permutation(SIZES[name]))
    run(space, "noisy")
    for one, other in zip(before, ranked(space).pairs, strict=True):
        assert (one.model, one.score) == (other.model, other.score)
        assert one.difference_low == pytest.approx(other.difference_low, abs=1e-4)


def test_other_images_are_refused_by_name(space):
    remove_caches(space, "noisy", "far")
    put(space, "noisy", "far", noise=4.0, ids=[f"far/{i}.png" for i in range(1, 51)])
    run(space, "plain", "noisy")
    with pytest.raises(ResultsError, match=r"tested on other images of 'far': 2 .*'far/0.png', 'far/50.png'"):
        ranked(space)
    assert len(ranked(space, model="noisy").pairs) == 2
    assert len(ranked(space, group="near").pairs) == 4


def test_missing_and_stale_rows_say_what_to_run(space):
    run(space, "plain")
    run(space, "noisy", row_scores=False)
    with pytest.raises(ResultsError, match="of 'noisy' there are none") as caught:
        ranked(space)
    assert caught.value.fix.startswith("moodbench score --benchmark b --model noisy --score ")
    run(space, "noisy", scores=("euclid",))
    with pytest.raises(ResultsError, match="of 'noisy' there are none of knn"):
        ranked(space)
    run(space, "noisy")
    assert len(ranked(space).pairs) == 4
    remove_caches(space, "noisy", "far")
    assert len(ranked(space).pairs) == 4  # what is gone contradicts nobody
    put(space, "noisy", "far", noise=4.0, seed=1)
    with pytest.raises(ResultsError, match="of 'noisy' they are older than the cache of far"):
        ranked(space)
    run(space, "noisy", row_scores=False)
    with pytest.raises(ResultsError, match="made from something else than the results"):
        ranked(space)


def test_each_class_in_turn_has_differences_and_no_interval_of_its_mean(space):
    run(space, "plain", "noisy", benchmark="each", scores=("euclid",))
    best, other = ranked(space, benchmark="each").pairs
    assert (best.model, best.low, best.high) == ("plain", None, None)
    assert other.difference_low < other.difference < other.difference_high < 0
    (row,) = (r for r in read_results(space.results_file("each", ModelName("noisy"))) if r.group == "all")
    assert other.mean == pytest.approx(row.auroc, abs=1e-9)
    assert "±" not in ranked(space, benchmark="each").answer


def test_of_several_seeds_the_first_is_ranked_and_controls_only_where_named(space):
    run(space, "plain", scores=("kmeans", "random"), seeds=2)
    assert [pair.score for pair in ranked(space).pairs] == ["kmeans"]
    assert "seed=0" in ranked(space).pairs[0].params
    assert "the first one is ranked" in ranked(space).text()
    assert [pair.score for pair in ranked(space, score="random").pairs] == ["random"]


def test_trial_runs_are_named(space):
    run(space, "plain", "noisy", scores=("euclid",))
    assert "trial" not in ranked(space).text().lower()
    file = space.results_file("b", ModelName("noisy"))
    trial = [dataclasses.replace(row, remarks=(*row.remarks, "trial: --limit 40")) for row in read_results(file)]
    with changing(file, waiting=lambda: None) as there:
        there.write(trial, there.provenance, keep=False)
    assert "Trial runs, on a part of the images (--limit): noisy." in ranked(space).text()


def test_unknown_names(space):
    run(space, "plain")
    for wrong in ({"model": "x"}, {"score": "x"}, {"group": "x"}, {"benchmark": "x"}):
        with pytest.raises(UnknownNameError):
            ranked(space, **wrong)
