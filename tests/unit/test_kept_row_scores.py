"""The row scores that `score` keeps among the caches: what they hold, when they change, and who looks after them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from moodbench.commands.cache import list_caches, remove_caches, verify_caches
from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.errors import ResultsError
from moodbench.features.heads import write_head
from moodbench.features.rowscores import KEPT, read_row_scores
from moodbench.results import read_provenance, read_results
from moodbench.types import MEAN, Head
from moodbench.workspace import ModelName, Workspace

NET = ModelName("net")
SIZES = {"train": 40, "test": 31, "far": 17}
EACH = {"ant": 0, "b/e": 1}


def put(space, dataset, seed=0):
    rng = np.random.default_rng([seed, len(dataset)])
    labels = np.arange(SIZES[dataset]) % 3
    features = rng.normal(size=(len(labels), 6)).astype(np.float32) + (dataset == "far") + labels[:, None]
    file = space.cache_dir.parent / f"{dataset}.npz"
    np.savez(file, features=features, **({} if dataset == "far" else {"labels": labels}))
    import_features("net", dataset, file, workspace=space)


@pytest.fixture
def space(tmp_path):
    roles = {"id_train": "train", "id_test": "test"}
    benchmarks = {
        "b": {**roles, "ood": {"far": ["far"]}},
        "some": {**roles, "ood": {"near": ["test"], "far": ["far"]}, "classes": [0, 2]},
        "each": {**roles, "ood": {"others": ["test"]}, "classes": EACH},
    }
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"datasets": {n: {"title": n} for n in SIZES}, "benchmarks": benchmarks}))
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    for name in SIZES:
        put(space, name)
    return space


def run(space, *scores, benchmark="b", model="net", **how):
    said: list[str] = []
    score(score=scores, benchmark=benchmark, model=model, device="cpu", workspace=space, report=said.append, **how)
    return said


def kept(space, benchmark="b", model=NET):
    return read_row_scores(space.kept_scores_file(model, benchmark), KEPT)


def test_they_give_the_number_in_the_results(space):
    run(space, "knn", "euclid")
    there = kept(space)
    assert [name for name, _ in there.names] == ["euclid", "knn"]
    for name, params in there.names:
        values = there.of(name, params)
        assert {place: (len(array), array.dtype) for place, array in values.items()} == {
            "test": (31, np.float64),
            "far": (17, np.float64),
        }
        wanted = roc_auc_score(np.r_[np.ones(31), np.zeros(17)], np.r_[values["test"], values["far"]])
        (row,) = (r for r in read_results(space.results_file("b", NET)) if r.score == name and r.ood == "far")
        assert row.auroc == pytest.approx(wanted, abs=1e-10)
    assert there.owner["inputs"] == read_provenance(space.results_file("b", NET))["inputs"]
    assert (there.arrays["test/side"] == 1).all()
    assert (there.arrays["far/side"] == 0).all()
    assert len(set(there.arrays["test/ids"])) == 31
    assert not space.results_file("b", NET).with_name("net.scores.h5").exists()


def test_sides_say_which_rows_of_some_classes_are_id(space):
    run(space, "euclid", benchmark="some")
    assert kept(space, "some").arrays["test/side"].tolist() == [int(i % 3 != 1) for i in range(31)]


def test_sides_of_each_class_in_turn(space):
    run(space, "euclid", benchmark="each")
    there = kept(space, "each")
    values = there.of("euclid", "")
    assert set(values) == {"ant/test", "b%2Fe/test"}
    found = []
    for place, array in values.items():
        side = there.arrays[f"{place}/side"]
        assert set(side) == {0, 1}
        found.append(roc_auc_score(side, array))
    (row,) = (r for r in read_results(space.results_file("each", NET)) if r.ood == MEAN and r.group == "all")
    assert row.auroc == pytest.approx(np.mean(found), abs=1e-10)


def test_running_some_again_replaces_theirs_alone(space):
    run(space, "knn", "euclid")
    before = kept(space)
    file = space.kept_scores_file(NET, "b")
    whole = file.read_bytes()
    run(space, "euclid", params={"euclid": {}})
    assert file.read_bytes() == whole
    run(space, "knn", params={"knn": {"k": 3}})
    after = kept(space)
    assert len(after.names) == 3
    assert set(before.names) < set(after.names)
    for path, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[path], array)


def test_rows_of_other_caches_are_dropped(space):
    run(space, "knn", "euclid")
    space.cache_file(NET, "far").unlink()
    put(space, "far", seed=1)
    assert any("made from other caches; its scores are dropped" in line for line in run(space, "euclid"))
    assert [name for name, _ in kept(space).names] == ["euclid"]


def test_no_row_scores_leaves_them_out(space):
    run(space, "euclid", row_scores=False)
    assert not (space.cache_dir / "net" / "scores").exists()


def test_a_head_has_rows_of_its_own(space):
    rng = np.random.default_rng(3)
    head = Head(rng.normal(size=(3, 6)).astype(np.float32), np.zeros(3, np.float32))
    write_head(space.head_file(ModelName("net", None, "probe")), head)
    run(space, "msp", model="net+probe")
    file = space.kept_scores_file(ModelName("net", None, "probe"), "b")
    assert file == space.cache_dir / "net" / "scores" / "b+probe.h5"
    assert read_row_scores(file, KEPT).owner["model"] == "net+probe"
    assert space.kept_scores(NET) == [file]


def test_the_first_of_several_seeds_is_kept_and_missing_rows_are_made(space):
    run(space, "kmeans", params={"kmeans": {"seed": 2}})
    one = kept(space)
    run(space, "kmeans", params={"kmeans": {"seed": 2}}, seeds=3)
    assert kept(space).names == one.names
    run(space, "euclid", row_scores=False)
    run(space, "euclid", seeds=2)  # its results could stay, but nobody has its rows
    assert "euclid" in [name for name, _ in kept(space).names]
    assert any("kept the results of 1 score" in line for line in run(space, "euclid", "kmeans", seeds=2))


def test_a_folder_that_cannot_be_written_costs_no_results(space):
    (space.cache_dir / "net" / "scores").write_text("in the way")
    said = run(space, "euclid")
    assert any("the row scores of net on b are not kept" in line and "--no-row-scores" in line for line in said)
    assert read_results(space.results_file("b", NET))


def test_damaged_rows_are_found_and_written_anew(space):
    run(space, "euclid", "knn")
    file = space.kept_scores_file(NET, "b")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ResultsError, match="the row scores cannot be read") as caught:
        kept(space)
    assert "moodbench score" in caught.value.fix
    assert [one.name for one in verify_caches(space) if one.fault] == ["net/scores/b"]
    assert any("written anew" in line for line in run(space, "euclid"))
    assert [name for name, _ in kept(space).names] == ["euclid"]
    assert all(one.fault is None for one in verify_caches(space))


def test_they_are_no_dataset_and_go_with_the_last_cache(space):
    run(space, "euclid")
    assert [info.dataset for info in list_caches(space)] == ["far", "test", "train"]
    remove_caches(space, "net", "far")
    assert space.kept_scores(NET)
    removed = remove_caches(space, "net")
    assert space.kept_scores_file(NET, "b") in removed
    assert not (space.cache_dir / "net").exists()


def test_the_owner_is_written_as_json_and_two_runs_give_equal_bytes(space):
    run(space, "euclid", "knn")
    file = space.kept_scores_file(NET, "b")
    written = file.read_bytes()
    shutil.rmtree(file.parent)
    run(space, "knn")
    run(space, "euclid")
    assert file.read_bytes() == written
    assert json.dumps(kept(space).owner["inputs"]["contents"], sort_keys=True).count(":") == 3
