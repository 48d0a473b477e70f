"""Accuracy, cost and embedding: points stand at the values, names hide neither one another nor points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.cost import frontier
from moodbench.plots.embedding import TOGETHER, plane_of
from moodbench.plots.given import Features
from moodbench.types import MEAN
from tests.plots import drawn, features, seconds, texts, world


def points(axes):
    return sorted(
        (round(float(x), 6), round(float(y), 6))
        for line in axes.get_lines()
        if line.get_marker() not in ("None", "") and line.get_linestyle() == "None"
        for x, y in line.get_xydata()
    )


def close(pairs):
    return sorted((round(float(x), 6), round(float(y), 6)) for x, y in pairs)


def means(given, **chosen):
    rows = [row for row in given.results if (row.ood, row.group) == (MEAN, given.group)]
    return [row for row in rows if all(getattr(row, name) == value for name, value in chosen.items())]


def test_accuracy_has_a_point_for_each_model():
    given = world(4, 3)
    figure = drawn("accuracy", given)
    best = [max(means(given, model=m), key=lambda row: row.auroc) for m in ("model00", "model01", "model02", "model03")]
    assert points(figure.axes[0]) == close((100 * r.id_accuracy, 100 * r.auroc) for r in best)
    assert {"model00", "model01", "model02", "model03"} <= set(texts(figure))


def test_accuracy_of_named_scores_has_a_panel_each():
    given = replace(world(4, 2), scores=("score00", "score01"))
    figure = drawn("accuracy", given)
    for axes, score in zip(figure.axes, given.scores, strict=True):
        expected = close((100 * r.id_accuracy, 100 * r.auroc) for r in means(given, score=score))
        assert points(axes) == expected
        assert axes.get_title().startswith(score)


@pytest.mark.parametrize("models", [1, 3])
def test_accuracy_needs_two_models_with_one(models):
    given = world(models, 2)
    rows = given.results if models == 1 else [replace(row, id_accuracy=None) for row in given.results]
    with pytest.raises(ResultsError, match="at least two"):
        drawn("accuracy", replace(given, results=rows))


def test_cost_has_a_point_for_each_score():
    given = replace(world(2, 6), models=("model00", "model01"))
    figure = drawn("cost", given)
    for axes, model in zip(figure.axes, given.in_order, strict=True):
        times = seconds(model)
        expected = close((1e6 * times[r.score, r.params], 100 * r.auroc) for r in means(given, model=model.name))
        assert points(axes) == expected
        assert axes.get_title() == model.name


def test_cost_without_times_says_what_to_run():
    with pytest.raises(ResultsError, match="no times were measured of model00") as error:
        drawn("cost", replace(world(1, 2), seconds=lambda model: {}))
    assert "moodbench score --benchmark b --model model00" in str(error.value)


def test_the_line_joins_scores_that_no_faster_one_beats():
    places = {"a": (1.0, 60.0), "b": (2.0, 50.0), "c": (3.0, 70.0), "d": (3.0, 65.0), "e": (9.0, 70.0)}
    assert frontier(places) == [(1.0, 60.0), (3.0, 70.0)]


def test_the_plane_keeps_the_most_variance():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(50, 5)) * [9, 1, 5, 0.1, 0.2]).astype(np.float32)
    plane = plane_of(Features(rows[:20], {"a": rows[20:]}))
    every = np.concatenate([plane.id, plane.ood["a"]])
    centred = rows.astype(float) - rows.mean(axis=0, dtype=float)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(every) == pytest.approx(np.abs(left[:, :2] * values[:2]), abs=1e-4)
    assert plane.shares == pytest.approx(tuple((values**2 / (values**2).sum())[:2]))


@pytest.mark.parametrize("dim", [1, 2])
def test_narrow_and_equal_features_have_a_plane(dim):
    rows = np.ones((4, dim), np.float32)
    plane = plane_of(Features(rows, {"a": rows}))
    assert plane.id.shape == (4, 2)
    assert np.isfinite(plane.id).all()


def test_embedding_draws_every_row():
    given = world(1, 1)
    (model,) = given.in_order
    (axes,) = drawn("embedding", given).axes
    plane = plane_of(features(model, 400))
    every = np.concatenate([plane.id, *plane.ood.values()])
    assert np.asarray(points(axes)) == pytest.approx(np.asarray(close(every)), abs=2e-6)


def test_many_datasets_have_a_panel_each():
    assert len(drawn("embedding", world(1, 1, TOGETHER + 1)).axes) == TOGETHER + 1
    with pytest.raises(UsageError, match="2 models with 6 OOD datasets"):
        drawn("embedding", replace(world(2, 1, TOGETHER + 1), models=("model00", "model01")))
    few = replace(world(2, 1, TOGETHER + 1), models=("model00", "model01"), oods=("ood00", "ood01"))
    assert len(few.datasets) == 2
