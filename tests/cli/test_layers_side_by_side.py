"""Scores that read several layers as people meet them: which there are, what they read of whom, and what is left."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tests.commands import call

LAYERS = ("blocks.1", "blocks.3")


@pytest.fixture
def deep(home):
    """A model of the tiny benchmark with imported features and two layers, and one without layers."""
    for model, seed in (("net", 0), ("net@layer-blocks.1", 1), ("net@layer-blocks.3", 2), ("flat", 3)):
        for dataset, rows in (("tiny_train", 60), ("tiny_test", 20), ("tiny_ood", 20)):
            labels = np.arange(rows) % 3
            rng = np.random.default_rng([seed, rows])
            x = rng.normal(size=(rows, 4)) + (4 * np.eye(3, 4)[labels] if dataset != "tiny_ood" else 0)
            np.savez("rows.npz", features=x.astype(np.float32), labels=labels)
            done = call("import", "--model", model, "--dataset", dataset, "rows.npz")
            assert done.exit_code == 0, done.stderr
    return home


def listed(name):
    (record,) = [one for one in json.loads(call("list", "scores", name, "--json").stdout) if one["name"] == name]
    return record


def test_which_models_have_the_layers_that_a_score_reads(deep):
    assert listed("maha_layers")["views"] == {"made_by": "--layers all", "cached_of": ["net"]}
    assert listed("mahalanobis")["views"] is None
    line = next(one for one in call("list", "scores").stdout.splitlines() if one.startswith("maha_layers "))
    assert "labels, layers" in line
    assert "cached of net" in line
    assert "views       cached of net" in call("show", "score", "knn_layers").stdout


def test_how_layers_are_made_where_none_has_them(home):
    assert listed("knn_layers")["views"] == {"made_by": "--layers all", "cached_of": []}
    assert "not cached: extract --layers all" in call("list", "scores", "knn_layers").stdout
    assert "knn_layers" in call("list", "scores", "--needs", "layers").stdout


def test_they_score_a_model_with_layers_and_say_what_another_lacks(deep):
    done = call("score", "--all", "--benchmark", "tiny", "--score", "maha_layers", "--score", "knn_layers")
    assert done.exit_code == 0, done.stderr
    rows = {
        (one["model"], one["score"]): one for one in json.loads(call("table", "--format", "json").stdout)[0]["records"]
    }
    assert rows["net", "maha_layers"]["auroc"] > 0.6
    assert rows["flat", "maha_layers"]["auroc"] is None


def test_views_stay_and_are_said(deep):
    done = call("cache", "remove", "--model", "net", "--dataset", "tiny_ood", "--yes")
    assert "note: left of 'net': 2 views (net@layer-blocks.1, net@layer-blocks.3); --views removes those" in done.stderr
    done = call("cache", "remove", "--model", "net", "--views", "--yes")
    assert done.exit_code == 0, done.stderr
    assert "note" not in done.stderr
    assert sorted(path.name for path in (deep / "cache").iterdir() if path.is_dir()) == ["flat"]


def test_views_of_a_model_that_is_gone_can_be_removed(deep):
    assert call("cache", "remove", "--model", "net", "--yes").exit_code == 0
    assert call("cache", "remove", "--model", "net", "--yes").exit_code == 2
    assert call("cache", "remove", "--model", "net", "--views", "--yes").exit_code == 0
    assert not (deep / "cache" / "net@layer-blocks.1").exists()
    assert call("cache", "remove", "--model", "flat", "--views", "--yes").exit_code == 0


def test_a_picture_in_the_place_of_another_is_not_read_beside_its_layers(home, pictures, catalog):
    shutil.copytree(pictures, home / "pictures")  # others read them too
    catalog.write_text(catalog.read_text().replace(str(pictures), str(home / "pictures")))
    assert call("extract", "--model", "tiny", "--benchmark", "tiny", "--layers", "blocks.1,blocks.3").exit_code == 0
    shutil.copy(home / "pictures/train/blue/00.png", home / "pictures/ood/00.png")
    assert call("cache", "remove", "--model", "tiny", "--dataset", "tiny_ood", "--yes").exit_code == 0
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood").exit_code == 0
    done = call("score", "--model", "tiny", "--score", "maha_layers")
    assert done.exit_code == 1
    said = " ".join(done.stderr.split())
    assert "'tiny@layer-blocks.1' and 'tiny' were made from different things on 'tiny_ood' images.fingerprint: " in said
    assert "fix: moodbench cache remove --model tiny@layer-blocks.1 --dataset tiny_ood, then extract it again" in said
    assert not (home / "results").exists()
    assert call("score", "--model", "tiny", "--score", "msp").exit_code == 0
    remove = ("cache", "remove", "--dataset", "tiny_ood", "--yes")
    assert call(*remove, "--model", "tiny@layer-blocks.1", "--model", "tiny@layer-blocks.3").exit_code == 0
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood", "--layers", "blocks.1,blocks.3").exit_code == 0
    assert call("score", "--model", "tiny", "--score", "maha_layers").exit_code == 0
