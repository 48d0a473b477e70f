"""Scores that read several caches of a model: what is found, what is refused, what results note of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import moodbench
from moodbench.commands.results import show_result
from moodbench.errors import CacheMismatchError, ScoreError, UsageError
from moodbench.evaluation import beside
from moodbench.evaluation.kept import kept_rows
from moodbench.evaluation.stale import marked_stale
from moodbench.features.provenance import made_apart
from moodbench.results import read_provenance, read_results
from moodbench.scores.base import SCORES, create_score
from moodbench.scores.machinery.viewing import OnView, OverLayers, changed_view
from moodbench.tables.footnotes import STALE
from moodbench.workspace import ModelName, Workspace
from tests.beside import CATALOG, ROWS, deep_space, put


@pytest.fixture(autouse=True)
def spread():
    """A score that reads two layers, and one that reads all of them against the memory bank."""
    before = set(SCORES.names())

    @SCORES.register("apart")
    @dataclass
    class Apart(OverLayers):
        title, family, paper = "Apart", "feature", "A test"

        def score(self, block):
            values = [block.layers[name].double().norm(dim=1) for name in self.layers_read(list(block.views))]
            return torch.stack([block.features[:, 0].double(), *values]).sum(dim=0)

    yield
    SCORES.keep(before)


@pytest.fixture
def space(tmp_path):
    return deep_space(tmp_path)


def run(space, **how):
    said = []
    moodbench.score(model="net", benchmark="deep", workspace=space, report=said.append, **how)
    return said


def rows_of(space):
    return {row.score: row for row in read_results(space.results_file("deep", ModelName("net"))) if row.ood == "far"}


def test_rows_of_all_layers_lie_side_by_side(space):
    run(space, score=["apart", "feature_norm_l2"] if "feature_norm_l2" in SCORES.names() else ["apart"])
    values = {}
    for dataset in ("test", "far"):
        found = [put(space, f"other{seed}", dataset, seed=seed, dim=dim) for seed, dim in ((0, 4), (1, 3), (2, 5))]
        own, *layers = (one.astype(np.float64) for one in found)
        values[dataset] = own[:, 0] + sum(np.linalg.norm(layer, axis=1) for layer in layers)
    wins = (values["test"][:, None] > values["far"]).mean()
    assert rows_of(space)["apart"].auroc == pytest.approx(wins)


def test_what_was_read_is_noted_and_old_when_it_changes(space):
    run(space, score="apart")
    noted = read_provenance(space.results_file("deep", ModelName("net")))["views"]
    (its,) = noted.values()
    assert list(noted) == ["apart"] or list(noted) == ["apart layers=all"]
    assert list(its) == ["layer-b.0", "layer-b.1"]
    assert set(its["layer-b.0"]) == set(ROWS)
    assert not stale(space)
    put(space, "net@layer-b.1", "far", seed=9, dim=5)
    assert stale(space) == {"apart"}
    run(space, score="apart")
    assert not stale(space)


def test_a_layer_that_was_removed_contradicts_nobody_and_is_shown_as_gone(space):
    run(space, score="apart")
    put(space, "net@layer-b.1", "far", seed=9, dim=5)
    record = show_result("net/apart/far", workspace=space)
    assert record["changed"] == ["the view layer-b.1"]
    assert record["views"]["layer-b.1"] == {"train": "same", "test": "same", "far": "changed"}
    for dataset in ROWS:
        space.cache_file(ModelName.parse("net@layer-b.1"), dataset).unlink()
    record = show_result("net/apart/far", workspace=space)
    assert record["changed"] == []
    assert record["views"] == {
        "layer-b.0": dict.fromkeys(["train", "test", "far"], "same"),
        "layer-b.1": dict.fromkeys(["train", "test", "far"], "gone"),
    }
    assert not stale(space)


def test_headers_of_views_are_read_once_for_all_benchmarks(space, monkeypatch):
    (file,) = space.catalogs
    file.write_text(CATALOG + "  again: {title: Again, id_train: train, id_test: test, ood: {far: [far]}}\n")
    space = Workspace(space.data_dir, space.cache_dir, space.results_dir, (file,))
    opened = []
    whole = beside.FeatureCache
    monkeypatch.setattr(beside, "FeatureCache", lambda path: opened.append(path) or whole(path))
    rows = moodbench.score(model="net", score="apart", workspace=space)
    assert {row.benchmark for row in rows} == {"deep", "again"}
    assert len(opened) == len({*opened}) == 6


def test_rows_are_not_kept_beside_results_of_other_layers(space):
    run(space, score="apart")
    assert kept_row_scores_of(space) == {"apart"}
    put(space, "net@layer-b.1", "far", seed=9, dim=5)
    assert kept_row_scores_of(space) == set()  # older than the layer
    run(space, score="apart", row_scores=False)
    assert kept_row_scores_of(space) == set()


def kept_row_scores_of(space):
    return {score for score, _ in kept_rows(space, "deep", "net").kept.names}


def stale(space):
    rows = marked_stale(space, "deep", list(rows_of(space).values()))
    return {row.score for row in rows if any(one.startswith(STALE) for one in row.remarks)}


def test_other_rows_are_refused(space):
    put(space, "net@layer-b.1", "far", ids=[f"far/{i + 1}.png" for i in range(25)], seed=2, dim=5)
    with pytest.raises(CacheMismatchError, match="other images") as refused:
        run(space, score="apart")
    assert "the cache of 'net@layer-b.1' has other images, or in another order, than 'net' on 'far'" in str(
        refused.value
    )
    assert "moodbench cache remove --model net@layer-b.1 --dataset far, then" in str(refused.value)


def test_what_a_view_and_the_model_were_made_from_is_compared_where_both_say_it():
    own = {"images": {"fingerprint": "a"}, "transform": {"kind": "model", "size": 32}, "precision": "fp32"}
    assert made_apart(own, {**own, "layer": {"name": "b.0"}}) == []
    assert made_apart(own, {"source": "import"}) == []
    assert made_apart({**own, "transform": None}, {**own, "transform": {"kind": "moodv2"}}) == []
    other = {**own, "images": {"fingerprint": "b"}, "transform": {"kind": "model", "size": 48}}
    assert made_apart(own, other) == [
        "images.fingerprint: b in the view, a in the model's own",
        "transform.size: 48 in the view, 32 in the model's own",
    ]


def test_all_leaves_out_what_reads_layers_that_are_not_there(space):
    for dataset in ROWS:
        for layer in (0, 1):
            space.cache_file(ModelName.parse(f"net@layer-b.{layer}"), dataset).unlink()
    said = run(space)
    assert any("apart" in line and "no layers" in line and "--layers all" in line for line in said)
    assert "apart" not in rows_of(space)
    run(space, score="apart")
    assert (rows_of(space)["apart"].auroc, rows_of(space)["apart"].note) == (
        None,
        "no layers beside it (extract --layers all, of the model itself)",
    )


def test_a_layer_that_lacks_a_dataset_is_left_out(space):
    space.cache_file(ModelName.parse("net@layer-b.1"), "far").unlink()
    said = run(space, score="apart")
    assert any(line.startswith("leave out the view net@layer-b.1: no complete cache of far;") for line in said)
    (its,) = read_provenance(space.results_file("deep", ModelName("net")))["views"].values()
    assert list(its) == ["layer-b.0"]


def test_what_is_chosen_does_not_depend_on_what_others_read(space):
    @SCORES.register("near_view")
    @dataclass
    class NearView(OnView):
        title, family, paper = "Near view", "feature", "A test"
        view: str = "noise"

        def score(self, block):
            return block.views[self.view_read(list(block.views))].features[:, 0]

    for value in ("0.1", "0.2"):
        for dataset in ROWS:
            put(space, f"net@view-noise-{value}", dataset, seed=3)
    run(space, score="near_view", params={"near_view": {"view": ["noise", "noise-0.2"]}})
    rows = [row for row in read_results(space.results_file("deep", ModelName("net"))) if row.ood == "far"]
    found = {row.params: (row.auroc is None, row.note) for row in rows}
    assert found["view=noise-0.2"] == (False, "")
    assert found["view=noise"][0]
    assert "several views 'noise'" in found["view=noise"][1]
    noted = read_provenance(space.results_file("deep", ModelName("net")))["views"]
    assert list(noted) == ["near_view view=noise-0.2"]


@pytest.mark.parametrize(
    ("layers", "read"),
    [("all", ("a", "b", "c")), ("every:2", ("a", "c")), ("c+a", ("a", "c")), ("b-cls", ("b-cls",))],
)
def test_which_layers_a_score_reads(layers, read):
    cached = ["layer-a", "layer-b", "layer-b-cls", "layer-c", "view-odin-0.1"]

    class Some(OverLayers):
        def score(self, block):
            return block.features

    assert Some(layers=layers).layers_read(cached) == read
    assert Some(layers=layers).views_among(cached) == tuple(f"layer-{name}" for name in read)


def test_layers_that_are_not_there_are_said():
    class Some(OverLayers):
        def score(self, block):
            return block.features

    with pytest.raises(ScoreError, match="no layers"):
        Some().layers_read(["view-odin-0.1"])
    with pytest.raises(ScoreError, match=r"'d'.*cached: a"):
        Some(layers="d").layers_read(["layer-a"])


@pytest.mark.parametrize("layers", ["every:0", "", "a+", "a b"])
def test_what_cannot_name_layers_is_refused_at_once(layers):
    with pytest.raises(UsageError, match="the parameter 'layers' cannot be"):
        create_score("maha_layers", {"layers": layers})


def test_a_view_is_found_by_its_kind_where_there_is_one():
    cached = ["layer-a", "view-odin-0.0014", "view-noise-0.1", "view-noise-0.2"]
    assert changed_view("odin", cached) == "view-odin-0.0014"
    assert changed_view("noise-0.2", cached) == "view-noise-0.2"
    with pytest.raises(ScoreError, match=r"several views 'noise'.*noise-0.1, noise-0.2"):
        changed_view("noise", cached)
    with pytest.raises(ScoreError, match=r"no view 'adascale' \(extract --view adascale\)$"):
        changed_view("adascale", cached)
    with pytest.raises(ScoreError, match=r"no view 'noise-0.3'; cached: noise-0.1, noise-0.2$"):
        changed_view("noise-0.3", [*cached, "view-noise-0.1-layer-a"])


def test_every_second_layer_is_counted_among_all_of_them(space):
    for layer in (2, 3):
        for dataset in ROWS:
            put(space, f"net@layer-b.{layer}", dataset, seed=layer + 1, dim=3)
    run(space, score="apart", params={"apart": {"layers": ["every:2", "b.1+b.3"]}})
    noted = read_provenance(space.results_file("deep", ModelName("net")))["views"]
    assert [list(its) for its in noted.values()] == [["layer-b.1", "layer-b.3"]] * 2
    rows = read_results(space.results_file("deep", ModelName("net")))
    every, named = (row.auroc for row in rows if row.ood == "far")
    assert every == named


def test_imported_layers_are_in_the_order_of_their_numbers(space):
    for layer in (2, 10):
        for dataset in ROWS:
            put(space, f"net@layer-b.{layer}", dataset, seed=layer + 3, dim=3)
    run(space, score="apart", params={"apart": {"layers": "every:2"}})
    (its,) = read_provenance(space.results_file("deep", ModelName("net")))["views"].values()
    assert set(its) == {"layer-b.1", "layer-b.10"}
