"""Benchmarks in which some classes, or each class in turn, are ID: against a plain computation row by row."""

from __future__ import annotations

import csv
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from moodbench.catalog import load_catalog
from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.errors import CacheError, CatalogError
from moodbench.features.rowscores import read_row_scores
from moodbench.results import read_provenance, row_scores_file
from moodbench.workspace import ModelName, Workspace

NAMES = ("ant", "bee", "cow")


@pytest.fixture
def world(tmp_path):
    """Three well-separated classes in eight dimensions, and a far set."""
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 1.2, (3, 8))
    labels = {"train": np.arange(240) % 3, "test": np.arange(91) % 3}
    features = {name: (centres[y] + rng.normal(0, 1, (len(y), 8))).astype(np.float32) for name, y in labels.items()}
    features["far"] = rng.normal(4, 1, (30, 8)).astype(np.float32)
    for name, x in features.items():
        known = {"labels": labels[name]} if name in labels else {}
        np.savez(tmp_path / f"{name}.npz", features=x, **known)
    return features, labels


def run(tmp_path, benchmark, scores=("euclid", "knn"), **how):
    datasets = {name: {"title": name} for name in ("train", "test", "far")}
    entry = {"id_train": "train", "id_test": "test", **benchmark}
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"datasets": datasets, "benchmarks": {"b": entry}}), encoding="utf-8")
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    for name in datasets:
        import_features("net", name, tmp_path / f"{name}.npz", workspace=space)
    score(model=["net"], benchmark=["b"], score=scores, device="cpu", workspace=space, **how)
    with (tmp_path / "results" / "b" / "net.csv").open(encoding="utf-8", newline="") as stream:
        return space, {
            (r["score"], r["ood"]): r for r in csv.DictReader(stream) if r["ood"] != "mean" or r["group"] == "all"
        }


def to_mean(train, x):
    """Negated Euclidean distance to the mean of ID train, of rows of unit length, a row at a time."""
    mean = np.mean([row / np.linalg.norm(row) for row in train.astype(np.float64)], axis=0)
    return np.array([-np.linalg.norm(row / np.linalg.norm(row) - mean) for row in x.astype(np.float64)])


def auroc(inside, outside):
    return roc_auc_score(np.r_[np.ones(len(inside)), np.zeros(len(outside))], np.r_[inside, outside])


def test_each_class_in_turn(tmp_path, world):
    features, labels = world
    each = {"classes": {name: i for i, name in enumerate(NAMES)}, "ood": {"others": ["test"]}}
    space, rows = run(tmp_path, each, save_scores=True)
    wanted = {}
    for i, name in enumerate(NAMES):
        s = to_mean(features["train"][labels["train"] == i], features["test"])
        inside = labels["test"] == i
        wanted[name] = auroc(s[inside], s[~inside])
        row = rows["euclid", name]
        assert float(row["auroc"]) == pytest.approx(wanted[name], abs=1e-9)
        assert (int(row["n_id"]), int(row["n_ood"])) == (inside.sum(), (~inside).sum())
        assert row["group"] == "others"
        assert float(row["auroc_low"]) < wanted[name] < float(row["auroc_high"])
    assert len(set(wanted.values())) == 3
    mean = rows["euclid", "mean"]
    assert float(mean["auroc"]) == pytest.approx(np.mean(list(wanted.values())), abs=1e-9)
    assert mean["auroc_low"] == ""  # rows are ID once and OOD twice: nobody knows the interval of this mean
    assert (int(mean["n_id"]), int(mean["n_ood"])) == (91, 182)
    provenance = read_provenance(space.results_dir / "b" / "net.csv")
    assert provenance["inputs"]["benchmark"]["classes"] == each["classes"]


def test_a_title_may_be_any_text_that_can_be_shown(tmp_path, world):
    titles = ["a/", ".", "..", "/abs", "a%2F", "50 %", "test", "é b"]
    each = {"classes": {}, "ood": {"others": ["test"]}}
    for first in range(0, len(titles), 2):  # a label has one title
        each["classes"] = dict(zip(titles[first : first + 2], (0, 2), strict=True))
        space, rows = run(tmp_path, each, save_scores=True)
        file = row_scores_file(space.results_file("b", ModelName("net")))
        there = read_row_scores(file)
        assert len([path for path in there.arrays if path.endswith("/euclid")]) == 2
        for title, label in each["classes"].items():
            (path,) = (path for path in there.arrays if unquote(path) == f"{title}/test/euclid")
            inside = world[1]["test"] == label
            wanted = auroc(there.arrays[path][inside], there.arrays[path][~inside])
            assert float(rows["euclid", title]["auroc"]) == pytest.approx(wanted, abs=1e-9)
        written = file.read_bytes()
        run(tmp_path, each, save_scores=True)  # what is there is read, and takes the new in its place
        assert file.read_bytes() == written


def test_some_classes_are_id_and_the_other_rows_of_id_test_ood(tmp_path, world):
    features, labels = world
    _, rows = run(tmp_path, {"classes": [0, 2], "ood": {"near": ["test"], "far": ["far"]}})
    is_id = labels["test"] != 1
    train = features["train"][labels["train"] != 1]
    s = to_mean(train, features["test"])
    assert float(rows["euclid", "test"]["auroc"]) == pytest.approx(auroc(s[is_id], s[~is_id]), abs=1e-9)
    far = to_mean(train, features["far"])
    assert float(rows["euclid", "far"]["auroc"]) == pytest.approx(auroc(s[is_id], far), abs=1e-9)
    assert int(rows["knn", "far"]["n_id"]) == is_id.sum()
    assert rows["euclid", "mean"]["auroc_low"]


def test_a_score_that_cannot_be_fitted_on_one_class_says_so(tmp_path, world):
    each = {"classes": {name: i for i, name in enumerate(NAMES)}, "ood": {"others": ["test"]}}
    _, rows = run(tmp_path, each, scores=("msp", "knn"))
    assert rows["msp", "mean"]["auroc"] == ""
    assert rows["msp", "mean"]["note"].startswith("no logits")
    assert rows["knn", "mean"]["auroc"]


def test_a_class_without_rows_is_an_error_that_names_it(tmp_path, world):
    with pytest.raises(CacheError, match="no row has a label of 7"):
        run(tmp_path, {"classes": [7], "ood": {"far": ["far"]}})


@pytest.mark.parametrize(
    ("ood", "text", "message"),
    [
        ("ood: {far: [c]}", "classes: [1.5]", "neither labels nor names"),
        ("ood: {far: [c]}", "classes: [1, 1]", "the same label"),
        ("ood: {o: [b]}", "classes: {mean: 1}", "results call their averages"),
        ("ood: {o: [b]}", 'classes: {" ": 1}', "title ' ', which is empty"),
        ("ood: {o: [b]}", 'classes: {"a\\0b": 1}', "has a character that cannot be shown"),
        ("ood: {o: [b]}", f"classes: {{{'a' * 201}: 1}}", "which is longer than 200 bytes"),
        ('ood: {" ": [c]}', "classes: [1]", "OOD group that is called ' ', which is empty"),
        ("ood: {far: [c]}", "classes: {ant: 0}", "the only OOD dataset must be the ID test set"),
    ],
)
def test_mistakes_are_named(tmp_path, ood, text, message):
    file = tmp_path / "c.yaml"
    sets = "datasets: {a: {title: A}, b: {title: B}, c: {title: C}}\n"
    file.write_text(f"{sets}benchmarks: {{x: {{id_train: a, id_test: b, {ood}, {text}}}}}\n")
    with pytest.raises(CatalogError, match=message):
        load_catalog([file])
