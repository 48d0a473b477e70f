"""Layers as people meet them: from `extract --layers` to `table --layout depth` and `plot depth`."""

from __future__ import annotations

import json

import pytest

from moodbench.commands.probe import probe
from moodbench.logistic import Settings
from moodbench.tables import depth
from moodbench.workspace import Workspace
from tests.commands import call

SCORES = ["--score", "knn", "--score", "mahalanobis", "--score", "msp"]


@pytest.fixture
def deep(home):
    """The tiny benchmark with three layers, extracted and scored."""
    done = call("extract", "--model", "tiny", "--benchmark", "tiny", "--layers", "every:2")
    assert done.exit_code == 0, done.stderr
    assert "extracted tiny and 3 layers on tiny_train: 42 images" in done.stderr
    done = call("score", "--all", "--layers", *SCORES)
    assert done.exit_code == 0, done.stderr
    assert "scored tiny@layer-blocks.3 on tiny: 2 scores\n" in done.stderr
    assert "\n3 layers of tiny on tiny left empty: msp (no logits)\n" in done.stderr
    assert done.stderr.count("left empty") == 1
    return home


def test_all_does_not_mean_layers(deep):
    for file in (deep / "results" / "tiny").iterdir():
        file.unlink()
    done = call("score", "--all", *SCORES)
    assert (
        "left out 3 layers of 1 model: --layers takes them along, --model tiny@layer-blocks.1 takes one" in done.stderr
    )
    assert sorted(file.name for file in (deep / "results" / "tiny").glob("*.csv")) == ["tiny.csv"]
    assert call("score", "--model", "tiny@layer-blocks.1", *SCORES).exit_code == 0
    assert (deep / "results" / "tiny" / "tiny@layer-blocks.1.csv").exists()
    done = call("score", "--model", "tiny", "--layers", *SCORES)
    assert done.exit_code == 0
    assert len(list((deep / "results" / "tiny").glob("*.csv"))) == 4


def test_the_table_over_depth(deep):
    done = call("table", "--layout", "depth", "--format", "json", "--metric", "auroc")
    assert done.exit_code == 0, done.stderr
    (made,) = json.loads(done.stdout)
    numbers = {one["model"]: one["auroc"] for one in made["records"] if one["score"] == "knn"}
    assert {one["score"] for one in made["records"]} == {"knn", "mahalanobis"}  # not what the output alone has
    assert list(numbers) == [*(f"tiny@layer-blocks.{i}" for i in (1, 3, 5)), "tiny"]
    assert all(isinstance(number, float) for number in numbers.values())
    shown = call("table", "--layout", "depth", "--model", "tiny").stdout
    assert "Tiny ViT over depth, mean over all OOD datasets" in shown
    assert shown.index("blocks.1") < shown.index("blocks.5") < shown.index("output")


def test_the_picture_over_depth(deep):
    done = call("plot", "depth", "--out", "depth.svg")
    assert done.exit_code == 0, done.stderr
    first = (deep / "depth.svg").read_bytes()
    assert call("plot", "depth", "--model", "tiny", "--out", "again.svg").exit_code == 0
    assert (deep / "again.svg").read_bytes() == first


def test_what_is_not_of_depth_leaves_layers_out(deep):
    assert "layer-" not in call("table").stdout
    assert "layer-" not in call("table", "--layout", "all").stdout
    assert "layer-" not in call("rank").stdout
    one = call("table", "--model", "tiny@layer-blocks.3")
    assert one.exit_code == 0
    assert "@layer-blocks.3" in one.stdout
    (record,) = json.loads(call("list", "models", "--json", "--cached").stdout)
    assert record["name"] == "tiny"
    assert record["views"] == [f"tiny@layer-blocks.{i}" for i in (1, 3, 5)]
    assert "3 + 3 views" in call("list", "models", "--cached").stdout
    shown = json.loads(call("show", "model", "tiny@layer-blocks.3", "--json").stdout)
    assert shown["view_of"] == "tiny"
    assert call("cache", "verify").exit_code == 0


def test_heads_for_layers(deep):
    quick = Settings(penalties=(1.0,), iterations=20)
    assert len(probe("tiny", layers=True, settings=quick, workspace=Workspace(catalogs=(deep / "catalog.yaml",)))) == 4
    assert (deep / "cache" / "tiny@layer-blocks.5" / "heads" / "probe.h5").exists()
    assert call("score", "--model", "tiny", "--layers", "--head", "probe", "--score", "msp").exit_code == 0
    made = json.loads(call("table", "--layout", "depth", "--head", "probe", "--format", "json").stdout)[0]
    assert made["records"][-1]["model"] == "tiny+probe"


@pytest.mark.parametrize(("key", "what"), [("weights_sha256", "weights"), ("fingerprint", "images")])
def test_layers_of_other_weights_or_images_do_not_stand_beside_the_model(deep, monkeypatch, key, what):
    original = depth.read_provenance

    def other(path):
        made = original(path)
        noted = made["datasets"]["tiny_ood"]["provenance"]
        if path.stem.endswith("blocks.3"):
            noted["model" if what == "weights" else "images"][key] = "0" * 64
        return made

    monkeypatch.setattr(depth, "read_provenance", other)
    done = call("table", "--layout", "depth")
    assert done.exit_code == 1
    assert f"are of one model, and were computed with other {what} on tiny_ood" in done.stderr


def test_without_layers_there_is_a_word_on_what_to_run(scored):
    for command in (("table", "--layout", "depth"), ("plot", "depth")):
        done = call(*command)
        assert done.exit_code == 1
        assert "no results of 'tiny' are of a layer of tiny" in done.stderr
        assert "moodbench extract --model tiny --layers all, then moodbench score --model tiny --layers" in done.stderr
        assert "--layers all" in done.stderr
    done = call("score", "--model", "tiny", "--layers")
    assert done.exit_code == 1
    assert "no layer of 'tiny' is cached" in done.stderr
    done = call("extract", "--model", "tiny", "--benchmark", "tiny", "--layers", "blocks.7")
    assert done.exit_code == 2
    assert "there is no layer 'blocks.7'. Did you mean" in done.stderr
    assert "known layers: blocks.0, blocks.1" in done.stderr
