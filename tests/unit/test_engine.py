"""Rows without a number, and labels with large numbers: neither costs a score, nor memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from moodbench.catalog import BenchmarkSpec
from moodbench.commands.import_ import import_features
from moodbench.evaluation.caches import open_caches
from moodbench.evaluation.engine import Engine
from moodbench.evaluation.run import score_caches
from moodbench.ranking import Ranking
from moodbench.scores.base import SCORES, Score, create_score
from moodbench.workspace import ModelName, Workspace
from tests.parity.hard_worlds import hard_world
from tests.worlds import World, make_world

SPEC = BenchmarkSpec("b", "b", "train", ("test",), {"far": ("ood",)})


def caches_of(folder, features, labels, *, head=None):
    """Import arrays and open their caches; `labels` of ID train."""
    space = Workspace(folder / "data", folder / "cache", folder / "results")
    if head is not None:
        np.savez(folder / "head.npz", weight=head[0], bias=head[1])
    for name, x in features.items():
        known = {"labels": labels} if name == "train" else {}
        np.savez(folder / f"{name}.npz", features=x, **known)
        import_features(
            "net", name, folder / f"{name}.npz", head=None if head is None else folder / "head.npz", workspace=space
        )
    model = ModelName("net")
    files = {name: space.cache_file(model, name) for name in features}
    return open_caches(files, SPEC, space.head_file(model), own_head=True)


@dataclass
class NotANumber(Score):
    """The first feature; NaN where it is below a limit."""

    title, family, paper = "NaN", "feature", "Nobody, 2026"

    limit: float = 0.0

    def score(self, block):
        first = block.features[:, 0]
        return torch.where(first < self.limit, torch.nan, first)


@pytest.fixture
def rising(tmp_path):
    """One feature that counts rows: 0 … 299 in ID test, 0.5, 1.5, … 199.5 in OOD."""
    features = {"train": np.arange(50.0), "test": np.arange(300.0), "ood": np.arange(200) + 0.5}
    return caches_of(tmp_path, {name: x[:, None].astype(np.float32) for name, x in features.items()}, np.zeros(50, int))


def test_a_few_rows_without_a_number_count_as_errors(rising):
    scored = score_caches(SPEC, rising, {"nan": NotANumber(limit=1.6), "whole": NotANumber()})
    by_score = {row.score: row for row in scored.rows if row.ood == "ood"}
    id_scores, ood_scores = np.arange(300.0), np.arange(200) + 0.5
    id_scores[:2], ood_scores[:2] = -np.inf, np.inf
    assert by_score["nan"].auroc == pytest.approx(Ranking(id_scores).against(ood_scores).auroc, abs=1e-12)
    assert by_score["nan"].auroc < by_score["whole"].auroc
    assert by_score["nan"].note == "4 of 500 rows are not a number and count as errors"
    assert np.isnan(scored.values["test", "nan"][:2]).all()
    assert by_score["whole"].note == ""


def test_many_rows_without_a_number_leave_an_empty_cell(rising):
    scored = score_caches(SPEC, rising, {"nan": NotANumber(limit=4.6), "whole": NotANumber()})
    by_score = {row.score: row for row in scored.rows if row.ood == "ood"}
    assert by_score["nan"].auroc is None
    assert by_score["nan"].note.startswith("not a number for 10 of 500 rows (test_engine.py, line ")
    assert by_score["whole"].auroc is not None


@pytest.mark.parametrize("with_head", [True, False])
def test_a_label_of_999999_costs_what_a_label_of_9_does(tmp_path, with_head):
    world = make_world(rows=300)
    head = (world.weight, world.bias) if with_head else None
    names = [n for n in SCORES.names() if "labels" in SCORES.get(n).needs and SCORES.get(n).cost == "products"]
    found = []
    for number in (9, 999_999):
        folder = tmp_path / str(number)
        folder.mkdir()
        labels = np.where(world.labels == 4, number, world.labels)
        caches = caches_of(folder, {"train": world.train, **world.tests}, labels, head=head)
        assert Engine(caches, torch.device("cpu"), 64).train.label_classes == 5
        found.append(score_caches(SPEC, caches, {name: create_score(name) for name in [*names, "qda"]}))
    small, large = found
    assert small.values.keys() == large.values.keys()
    assert ("test", "mahalanobis") in small.values
    for key, values in small.values.items():
        np.testing.assert_array_equal(large.values[key], values)
    assert [(row.score, row.auroc) for row in large.rows] == [(row.score, row.auroc) for row in small.rows]


def constant_world() -> World:
    world = make_world(relu=True)
    train = world.train.copy()
    train[:, :12] = 0
    train[::3] = 0
    return world.with_(train=train)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(hard_world(2, 1e-3, relu=True), id="two saturated classes"),
        pytest.param(constant_world(), id="constant features and rows of zeros"),
        pytest.param(make_world(rows=12, classes=2), id="few rows"),
        pytest.param(make_world(rows=60, classes=1), id="one class"),
    ],
)
def test_no_score_warns_or_fails_whatever_the_rows(tmp_path, world):
    """A warning is an error here, and an error in one of the engine's threads a note of the score."""
    caches = caches_of(tmp_path, {"train": world.train, **world.tests}, world.labels, head=(world.weight, world.bias))
    scored = score_caches(SPEC, caches, {name: create_score(name) for name in SCORES.names()}, threads=2)
    assert len(scored.rows) == 3 * len(SCORES.names())
    assert [row.note for row in scored.rows if "failed" in row.note or "not a number" in row.note] == []
