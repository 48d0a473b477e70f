"""`rank --by model|score`, `--metric fpr95` and several benchmarks: what is averaged, compared, left out and said."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import moodbench
from moodbench.errors import ResultsError, UsageError
from moodbench.evaluation.kept import kept_rows
from moodbench.features.rowscores import ID, OOD
from moodbench.results import read_results
from moodbench.types import MEAN
from moodbench.workspace import ModelName
from tests.ranked import put, run


def ranked(space, **how):
    return moodbench.rank(workspace=space, **{"benchmark": "b", **how})


def value_of(space, model, score, metric, benchmark="b"):
    rows = read_results(space.results_file(benchmark, ModelName(model)))
    (row,) = (row for row in rows if (row.score, row.ood, row.group) == (score, MEAN, "all"))
    return getattr(row, metric)


@pytest.mark.parametrize("metric", ["auroc", "fpr95"])
def test_a_mean_is_over_what_all_have(space, metric):
    run(space, "plain", "noisy", scores=("euclid", "knn"))
    run(space, "plain", scores=("mahalanobis",))
    one = ranked(space, by="model", metric=metric)
    assert [(s.model, s.score, s.params) for s in one.pairs] == [("plain", None, None), ("noisy", None, None)]
    for standing in one.pairs:
        wanted = np.mean([value_of(space, standing.model, score, metric) for score in ("euclid", "knn")])
        assert standing.mean == pytest.approx(wanted, abs=1e-9)
        assert standing.low <= standing.mean <= standing.high
    assert "on average over 2 scores; every other model is significantly worse" in one.answer
    assert "Not of every model, and left out of the means: Mahalanobis" in one.text()
    two = ranked(space, by="score", metric=metric)
    assert {(s.model, s.score) for s in two.pairs} == {(None, "euclid"), (None, "knn"), (None, "mahalanobis")}
    assert "left out of the means: noisy" in two.text()
    assert " on plain, " in two.answer


def test_nothing_in_common_is_said_by_name(space):
    run(space, "plain", scores=("mahalanobis",))
    run(space, "noisy", scores=("knn", "residual"))
    with pytest.raises(
        ResultsError, match="the 2 models have no scores in common; the fewest has 'plain': 1"
    ) as caught:
        ranked(space, by="model")
    assert "--score" in caught.value.fix


def test_the_error_of_a_mean_is_that_of_a_plain_bootstrap(space):
    run(space, "plain", "noisy")
    standing = ranked(space, by="model").pairs[1]
    rows = {model: kept_rows(space, "b", model) for model in ("plain", "noisy")}
    rng = np.random.default_rng(0)
    sizes = {("test", ID): 60, ("near", OOD): 40, ("far", OOD): 50}

    def mean(model, drawn):
        found = []
        for score, params in rows[model].kept.names:
            its = {place: rows[model].scores_of(score, params, *place)[drawn[place]] for place in sizes}
            found += [np.mean(its["test", ID][:, None] > its[ood, OOD][None, :]) for ood in ("near", "far")]
        return np.mean(found)

    apart = []
    for _ in range(200):
        drawn = {place: rng.integers(n, size=n) for place, n in sizes.items()}
        apart.append(mean("noisy", drawn) - mean("plain", drawn))
    half = (standing.difference_high - standing.difference_low) / 2
    assert half == pytest.approx(1.96 * np.std(apart), rel=0.2)


def test_fpr95_is_that_of_the_results_and_the_lowest_is_the_best(space):
    for name in ("train", "test", "near", "far"):
        put(space, "twin", name, noise=0.01)
    run(space, "plain", "noisy", "twin", scores=("euclid",))
    one = ranked(space, metric="fpr95")
    assert [s.mean for s in one.pairs] == sorted(s.mean for s in one.pairs)
    for standing in one.pairs:
        assert standing.mean == pytest.approx(value_of(space, standing.model, "euclid", "fpr95"), abs=1e-9)
    assert {s.model: s.not_worse for s in one.pairs} == {"plain": True, "twin": True, "noisy": False}
    assert one.pairs[-1].difference > 0
    assert ", FPR95 " in one.answer
    assert "bootstrap" in one.text()
    assert one.pairs == ranked(space, metric="fpr95").pairs  # the seed is fixed


def test_fpr95_of_each_class_in_turn(space):
    run(space, "plain", "noisy", benchmark="each", scores=("euclid",))
    one = ranked(space, benchmark="each", metric="fpr95")
    assert [s.model for s in one.pairs] == ["plain", "noisy"]
    assert one.pairs[0].high < one.pairs[1].low


def test_several_benchmarks_count_alike_and_share_their_images(space):
    run(space, "plain", "noisy")
    run(space, "plain", "noisy", benchmark="other", scores=("euclid",))
    one = ranked(space, benchmark=["b", "other"])
    assert [(s.model, s.score) for s in one.pairs] == [("plain", "euclid"), ("noisy", "euclid")]
    for standing in one.pairs:
        wanted = np.mean([value_of(space, standing.model, "euclid", "auroc", name) for name in ("b", "other")])
        assert standing.mean == pytest.approx(wanted, abs=1e-9)
    assert "on average over 2 benchmarks" in one.answer
    assert "left out: " in one.text()
    assert "3 OOD datasets" in one.text()
    # the same images in both: as unsure as one of them, and not more sure by the square root of two
    alone = ranked(space, benchmark="other").pairs[1]
    width = one.pairs[1].difference_high - one.pairs[1].difference_low
    assert width > 0.8 * (alone.difference_high - alone.difference_low)
    assert ranked(space, benchmark=None).pairs == one.pairs
    assert ranked(space, benchmark=None, metric="fpr95").pairs[0].model == "plain"
    assert "left out: other" in ranked(space, benchmark=None, group="near").text()


def test_average_ranks_and_wins(space):
    run(space, "plain", "noisy")
    one = ranked(space)
    assert sum(s.average_rank for s in one.pairs) == pytest.approx(4 * 2.5)
    assert np.mean([s.win_rate for s in one.pairs]) == pytest.approx(0.5)
    assert len({(s.critical_difference, s.friedman_p) for s in one.pairs}) == 1
    assert "Friedman's test" in one.text()
    single = ranked(space, group="far")
    assert {s.average_rank for s in single.pairs} == {None}
    assert "Friedman" not in single.text()


def test_programs_read_json_and_csv(space):
    run(space, "plain", "noisy")
    one = ranked(space, by="model")
    assert [record["score"] for record in json.loads(one.text("json"))] == [None, None]
    rows = list(csv.DictReader(io.StringIO(one.text("csv"))))
    assert [row["model"] for row in rows] == ["plain", "noisy"]
    assert float(rows[0]["mean_percent"]) == pytest.approx(100 * one.pairs[0].mean, abs=1e-4)
    assert [row["not_worse"] for row in rows] == ["yes", "no"]


def test_other_words_are_refused(space):
    run(space, "plain")
    with pytest.raises(UsageError, match=r"by cannot be 'models'\. Did you mean 'model'"):
        ranked(space, by="models")
    with pytest.raises(UsageError, match="metric cannot be 'aupr_in'"):
        ranked(space, metric="aupr_in")
