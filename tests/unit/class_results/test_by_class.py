"""`score --by-class` and `table --layout classes`: what is written, from what, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import moodbench
from moodbench.cli import app
from moodbench.commands.cache import remove_caches
from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.ranking import Ranking
from moodbench.results import read_results
from moodbench.types import MEAN
from moodbench.workspace import ModelName, Workspace

BIRDS = ("n01503061/a", "n01503061/b", "n00000001/a", "n00000001/b", "n00000001/c", "other/a", "loose")
"""A label of ImageNet-21k, one that no list has, a name that is no WordNet id, and an image of no class."""


def put(space, dataset, ids, labels=None, classes=None, *, seed=0, model="net"):
    rng = np.random.default_rng([seed, len(ids)])
    arrays = {"features": rng.normal(size=(len(ids), 4)).astype(np.float32) + seed, "ids": np.array(ids)}
    if labels is not None:
        arrays["labels"] = np.array(labels)
    if classes is not None:
        arrays["classes"] = np.array(classes)
    np.savez(space.cache_dir.parent / f"{dataset}.npz", **arrays)
    import_features(model, dataset, space.cache_dir.parent / f"{dataset}.npz", workspace=space)


@pytest.fixture
def space(tmp_path):
    names = ("train", "test", "birds", "labelled", "flat")
    roles = {"id_train": "train", "id_test": "test"}
    benchmarks = {
        "b": {**roles, "ood": {"near": ["birds", "labelled"], "far": ["flat"]}},
        "plain": {**roles, "ood": {"far": ["flat"]}},
        "each": {**roles, "ood": {"others": ["test"]}, "classes": {"ant": 0, "bee": 1}},
    }
    models = {
        "net": {"title": "Net", "pretext": "contrastive", "timm": "resnet18", "labels_seen": "ImageNet-21k"},
    }
    file = tmp_path / "catalog.yaml"
    catalog = {"datasets": {n: {"title": n.title()} for n in names}, "benchmarks": benchmarks, "models": models}
    file.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    put(space, "train", [f"t{i}" for i in range(60)], np.arange(60) % 3)
    put(space, "test", [f"u{i}" for i in range(40)], np.arange(40) % 3)
    put(space, "birds", BIRDS, seed=1)
    put(space, "labelled", [f"x/{i}" for i in range(9)], [0, 1, 2] * 3, ["red", "green", "blue"], seed=2)
    put(space, "flat", [f"images/{i}" for i in range(5)], seed=3)
    return space


def run(space, *scores, benchmark="b", **how):
    said = []
    score(
        score=scores or ("euclid", "knn"),
        benchmark=[benchmark],
        device="cpu",
        workspace=space,
        report=said.append,
        **{"by_class": True, **how},
    )
    return said


def rows_of(space, benchmark="b"):
    return read_results(space.class_results_file(benchmark, ModelName("net")))


def test_each_class_is_compared_with_all_id_rows(space):
    said = run(space, save_scores=True)
    assert "net on b: flat has neither labels nor a folder for each class" in said
    assert "net on b: by class, birds (3), labelled (3)" in said
    rows = {(row.score, row.ood, row.group): row for row in rows_of(space)}
    assert {(ood, group) for _, ood, group in rows} == {
        *(("birds/" + name, "birds") for name in ("n01503061", "n00000001", "other")),
        *(("labelled/" + name, "labelled") for name in ("red", "green", "blue")),
        *((MEAN, name) for name in ("birds", "labelled")),
    }
    import h5py

    with h5py.File(space.results_dir / "b" / "net.scores.h5") as h5:
        ids, of_test = (h5["test"]["ids"][:], h5["test"]["knn"][:])
        birds = dict(zip(h5["birds"]["ids"].asstr()[:], h5["birds"]["knn"][:].tolist(), strict=True))
    assert len(ids) == 40
    chosen = [value for name, value in birds.items() if name.startswith("n00000001/")]
    wanted = Ranking(of_test).against(chosen)
    row = rows["knn", "birds/n00000001", "birds"]
    assert (row.n_id, row.n_ood, row.auroc) == (40, 3, pytest.approx(wanted.auroc, abs=1e-6))
    assert row.fpr95 == pytest.approx(wanted.fpr())
    assert row.auroc_low < row.auroc < row.auroc_high
    mean = rows["knn", MEAN, "birds"]
    of_classes = [rows["knn", f"birds/{name}", "birds"] for name in ("n01503061", "n00000001", "other")]
    assert mean.auroc == pytest.approx(np.mean([one.auroc for one in of_classes]))
    assert mean.n_ood == 6  # the loose image has no class


def test_what_is_there_is_not_run_again_and_datasets_keep_their_results(space):
    run(space, by_class=False)
    file = space.results_file("b", ModelName("net"))
    before = file.read_bytes()
    said = run(space)
    assert "net on b: kept the results of 2 scores without a random part" in said
    assert not any(line.startswith("scored") for line in said)
    assert file.read_bytes() == before
    first = space.class_results_file("b", ModelName("net")).read_bytes()
    run(space)
    assert space.class_results_file("b", ModelName("net")).read_bytes() == first
    assert moodbench.rank(benchmark="b", workspace=space).pairs  # nobody takes them for results of datasets


def test_scores_without_rows_are_named_and_cost_the_others_nothing(space):
    run(space, by_class=False)
    kept = space.kept_scores_file(ModelName("net"), "b")
    kept.write_bytes(kept.read_bytes()[:-100])
    said = run(space, "knn")
    fix = "moodbench score --benchmark b --model net --score euclid"
    assert f"net on b: not by class, for want of row scores: euclid ({fix})" in said
    assert {row.score for row in rows_of(space)} == {"knn"}
    run(space)
    assert {row.score for row in rows_of(space)} == {"knn", "euclid"}


def test_the_table_has_a_row_for_each_class_and_splits_by_what_was_seen(space):
    run(space)
    (table,) = json.loads(moodbench.table(benchmark="b", layout="classes", format="json", workspace=space))
    of_knn = [one for one in table["records"] if one["score"] == "knn" and one["group"] == "birds"]
    assert {(one["ood"], one["pretraining"]) for one in of_knn if one["ood"] != MEAN} == {
        ("birds/n01503061", "seen"),
        ("birds/n00000001", "unseen"),
        ("birds/other", "unknown"),
    }
    values = {one["pretraining"]: one["auroc"] for one in of_knn if one["ood"] == MEAN and "pretraining" in one}
    assert values == {one["pretraining"]: one["auroc"] for one in of_knn if one["ood"] != MEAN}  # of a class each
    shown = moodbench.table(benchmark="b", layout="classes", dataset="birds", score="knn", workspace=space)
    for words in ("n01503061", "other", "mean of 3 classes", "among the labels of pretraining (1)"):
        assert words in shown
    assert "not among them (1)" in shown
    assert "not known (1)" in shown
    assert "Labels seen in pretraining: ImageNet-21k" in shown
    assert "Labelled" not in shown


def test_results_that_are_missing_or_stale_say_what_to_run(space):
    run(space, by_class=False)
    with pytest.raises(ResultsError, match="no results of 'net' by class on 'b'") as caught:
        moodbench.table(benchmark="b", layout="classes", workspace=space)
    assert caught.value.fix == "moodbench score --by-class --benchmark b --model net --score euclid --score knn"
    run(space)
    remove_caches(space, "net", "flat")
    put(space, "flat", [f"images/{i}" for i in range(8)], seed=4)
    run(space, by_class=False)
    with pytest.raises(ResultsError, match="by class were made from something else than its results on 'b'"):
        moodbench.table(benchmark="b", layout="classes", workspace=space)
    out = CliRunner().invoke(app, ["score", "--by-class", "--no-row-scores", "--all"])
    assert (out.exit_code, "by class are made from row scores" in out.output) == (2, True)


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ({"metric": "oscr"}, UsageError, "the classes of OOD datasets have no OSCR"),
        ({"metric": "oscar"}, UnknownNameError, "oscar"),
        ({"dataset": "flat"}, UnknownNameError, "OOD dataset with classes 'flat'"),
    ],
)
def test_what_classes_do_not_have_is_refused(space, how, kind, message):
    run(space)
    with pytest.raises(kind, match=message):
        moodbench.table(benchmark="b", layout="classes", workspace=space, **how)


def test_a_benchmark_without_classes_says_so(space):
    with pytest.raises(ResultsError, match="no OOD dataset of 'plain' has classes"):
        run(space, benchmark="plain")
    said = run(space, benchmark="each")
    assert "net on each: each class in turn is ID, so its results are by class already" in said
    with pytest.raises(UsageError, match="by class are made from row scores"):
        run(space, row_scores=False)
