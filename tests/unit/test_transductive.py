"""Scores that meet a stream of test rows: what is in it, where their numbers go, and who refuses them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

import moodbench
from moodbench import detectors
from moodbench.commands.import_ import import_features
from moodbench.commands.plot import plot_svg
from moodbench.commands.score import score
from moodbench.errors import ResultsError, UsageError
from moodbench.evaluation.kept import kept_rows
from moodbench.evaluation.streams import order_of
from moodbench.features.rowscores import ID, KEPT, OOD, read_row_scores
from moodbench.results import read_results
from moodbench.scores.base import SCORES, Score, load_scores
from moodbench.scores.machinery.streaming import OverStream
from moodbench.types import MEAN
from moodbench.workspace import ModelName, Workspace
from tests.parity.cases_streams import oodd

NET = ModelName("net")
SIZES = {"train": 90, "test": 50, "shifted": 40, "strange": 30}
SMALL = {"batch": 16, "k": 4, "k_ood": 2, "queue": 9}
HEAD = (np.eye(3, 5), np.zeros(3))


@pytest.fixture
def made():
    """Return the features and labels of each dataset."""
    found = {}
    for number, (name, rows) in enumerate(SIZES.items()):
        rng = np.random.default_rng(number)
        labels = np.arange(rows) % 3
        features = rng.normal(size=(rows, 5)) + 1.5 * np.eye(3, 5)[labels] * (name != "strange")
        found[name] = features.astype(np.float32), labels
    return found


@pytest.fixture
def space(tmp_path, made):
    roles = {"id_train": "train", "id_test": "test"}
    benchmarks = {
        "b": {**roles, "id_test": ["test", "shifted"], "ood": {"far": ["strange"]}},
        "two": {**roles, "ood": {"near": ["shifted"], "far": ["strange"]}},
        "some": {**roles, "ood": {"near": ["test"], "far": ["strange"]}, "classes": [0, 2]},
        "each": {**roles, "ood": {"others": ["test"]}, "classes": {"ant": 0, "bee": 1}},
        "scope": {**roles, "ood": {"wrong": ["test"], "far": ["strange"]}, "protocol": "out-of-model-scope"},
    }
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"datasets": {n: {"title": n} for n in SIZES}, "benchmarks": benchmarks}))
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    weight, bias = (part.astype(np.float32) for part in HEAD)
    np.savez(tmp_path / "head.npz", weight=weight, bias=bias)
    for name, (features, labels) in made.items():
        known = {} if name == "strange" else {"labels": labels}
        np.savez(tmp_path / f"{name}.npz", features=features, ids=[f"{i:03}" for i in range(len(labels))], **known)
        import_features("net", name, tmp_path / f"{name}.npz", head=tmp_path / "head.npz", workspace=space)
    return space


def run(space, benchmark, *names, **how):
    said: list[str] = []
    how = {"params": {"oodd": SMALL}, **how}
    given = {"benchmark": benchmark, "model": "net", "device": "cpu", "workspace": space, "report": said.append}
    score(score=names or ["oodd"], **given, **how)
    return {(r.ood, r.group): r for r in read_results(space.results_file(benchmark, NET)) if r.score == "oodd"}


def expected(made, of_id, ood, seed=0, train=slice(None)):
    """Return the AUROC of a stream by the plain definition, and the scores of the ID rows and the OOD rows."""
    rows = np.concatenate([of_id, ood]).astype(np.float64)
    order = order_of(len(rows), seed)
    features, labels = made["train"]
    found = np.empty(len(rows))
    found[order] = oodd(*HEAD, features[train].astype(np.float64), labels[train], rows[order], **SMALL)
    return roc_auc_score(np.arange(len(rows)) < len(of_id), found), found[: len(of_id)], found[len(of_id) :]


@pytest.mark.parametrize("seed", [0, 3])
def test_all_id_rows_and_those_of_one_ood_dataset_are_mixed(space, made, seed):
    rows = run(space, "b", params={"oodd": {**SMALL, "seed": seed}})
    of_id = np.concatenate([made["test"][0], made["shifted"][0]])
    auroc, _, _ = expected(made, of_id, made["strange"][0], seed)
    row = rows["strange", "far"]
    assert row.auroc == pytest.approx(auroc, abs=1e-9)
    assert (row.n_id, row.n_ood, row.auroc_low, row.seeds) == (90, 30, None, 1)
    assert row.transductive
    assert row.aside
    assert not row.control


def test_each_ood_dataset_has_a_stream_of_its_own_and_id_rows_a_number_in_each(space, made):
    rows = run(space, "two")
    there = read_row_scores(space.kept_scores_file(NET, "two"), KEPT)
    tested = kept_rows(space, "two", "net")
    ((name, params),) = there.names
    assert there.of(name, params) == {}
    for ood in ("shifted", "strange"):
        auroc, of_id, of_ood = expected(made, made["test"][0], made[ood][0])
        assert rows[ood, "near" if ood == "shifted" else "far"].auroc == pytest.approx(auroc, abs=1e-9)
        assert set(there.of(name, params, ood)) == {"test", ood}
        np.testing.assert_allclose(tested.scores_of(name, params, "test", ID, ood), of_id, atol=1e-6)
        np.testing.assert_allclose(tested.scores_of(name, params, ood, OOD, ood), of_ood, atol=1e-6)
    mean = np.mean([rows["shifted", "near"].auroc, rows["strange", "far"].auroc])
    assert rows[MEAN, "all"].auroc == pytest.approx(mean, abs=1e-12)


def test_rows_of_other_classes_are_ood_of_the_stream_of_their_dataset(space, made):
    rows = run(space, "some")
    (features, labels), (train, known) = made["test"], made["train"]
    kept = np.isin(known, (0, 2))
    numbered = {**made, "train": (train[kept], known[kept])}
    inside = features[labels != 1]
    for ood, those in (("test", features[labels == 1]), ("strange", made["strange"][0])):
        auroc, _, _ = expected(numbered, inside, those)
        assert rows[ood, "near" if ood == "test" else "far"].auroc == pytest.approx(auroc, abs=1e-9)
    there = read_row_scores(space.kept_scores_file(NET, "some"), KEPT)
    ((name, params),) = there.names
    assert not np.isnan(there.of(name, params, "test")["test"]).any()
    assert np.isnan(there.of(name, params, "strange")["test"]).tolist() == (labels == 1).tolist()


def test_each_class_in_turn_has_a_stream(space, made):
    rows = run(space, "each")
    features, labels = made["test"]
    for title, label in (("ant", 0), ("bee", 1)):
        auroc, of_id, _ = expected(
            made, features[labels == label], features[labels != label], train=made["train"][1] == label
        )
        assert rows[title, "others"].auroc == pytest.approx(auroc, abs=1e-9)
        tested = kept_rows(space, "each", "net")
        ((name, params),) = tested.kept.names
        np.testing.assert_allclose(tested.scores_of(name, params, f"{title}/test", ID, title), of_id, atol=1e-6)


def test_what_the_model_gets_wrong_is_ood_in_a_stream(space, made):
    rows = run(space, "scope")
    features, labels = made["test"]
    right = features[:, :3].argmax(1) == labels
    for ood, those in (("test", features[~right]), ("strange", made["strange"][0])):
        auroc, _, _ = expected(made, features[right], those)
        assert rows[ood, "wrong" if ood == "test" else "far"].auroc == pytest.approx(auroc, abs=1e-9)


def test_several_seeds_are_several_orders(space, made):
    row = run(space, "b", seeds=3)["strange", "far"]
    of_id = np.concatenate([made["test"][0], made["shifted"][0]])
    each = [expected(made, of_id, made["strange"][0], seed)[0] for seed in range(3)]
    assert row.seeds == 3
    assert row.auroc == pytest.approx(np.mean(each), abs=1e-9)
    assert row.auroc_seed_sd == pytest.approx(np.std(each, ddof=1), abs=1e-9)
    there = read_row_scores(space.kept_scores_file(NET, "b"), KEPT)
    assert len(there.names) == 1


def test_no_order_depends_on_other_scores_or_runs(space):
    alone = run(space, "two")
    file = space.kept_scores_file(NET, "two")
    before = read_row_scores(file, KEPT).arrays
    beside = run(space, "two", "oodd", "knn", "msp")
    assert {key: row.auroc for key, row in beside.items()} == {key: row.auroc for key, row in alone.items()}
    after = read_row_scores(file, KEPT)
    for path, array in before.items():
        np.testing.assert_array_equal(after.arrays[path], array)
    run(space, "two", params={"oodd": {**SMALL, "k": 5}})
    assert len(read_row_scores(file, KEPT).names) == 4


def test_results_by_class_take_the_id_rows_of_the_stream(space, made):
    run(space, "two", by_class=True)
    rows = {r.ood: r for r in read_results(space.class_results_file("two", NET)) if r.group == "shifted"}
    _, of_id, of_ood = expected(made, made["test"][0], made["shifted"][0])
    of_class = of_ood[made["shifted"][1] == 1]
    wanted = roc_auc_score(np.r_[np.ones(len(of_id)), np.zeros(len(of_class))], np.r_[of_id, of_class])
    assert rows["shifted/1"].auroc == pytest.approx(wanted, abs=1e-9)
    assert rows["shifted/1"].auroc_low is None


def test_they_compete_with_no_others(space):
    run(space, "two", "oodd", "knn", "msp")
    ranked = moodbench.rank(benchmark="two", workspace=space)
    assert {pair.score for pair in ranked.pairs} == {"knn", "msp"}
    assert "Transductive, and left out: oodd." in str(ranked)
    with pytest.raises(ResultsError, match="a transductive score is not ranked: oodd"):
        moodbench.rank(benchmark="two", score="oodd", workspace=space)
    text = str(moodbench.table(benchmark="two", workspace=space))
    assert "transductive (its number of an image depends on the other test images): OODD" in text
    (line,) = (one for one in text.splitlines() if one.startswith("| feature+logit"))
    assert "**" not in line
    marked = str(moodbench.table(benchmark="two", significance=True, workspace=space))
    assert "transductive" in marked


def test_pictures_show_them_where_they_are_named(space):
    run(space, "two", "oodd", "knn")
    for kind in ("roc", "distributions", "bars", "correlation"):
        assert "<svg" in plot_svg(kind, key="p", benchmark="two", score=["oodd", "knn"], workspace=space)


def test_what_judges_single_images_refuses_them(space):
    run(space, "two")
    with pytest.raises(UsageError, match=r"'oodd' is transductive: .* detect judges each by itself"):
        moodbench.Detector.load("net", "oodd", benchmark="two", workspace=space)
    with pytest.raises(UsageError, match="'oodd' is transductive"):
        detectors.of("oodd")
    assert "OODD" not in dir(detectors)


class Broken(OverStream):
    title = "Broken"
    family = "feature"
    paper = "Nobody, 2026"


def test_one_that_fails_costs_no_other(space):
    for name, stream in {
        "short": lambda self, batches: (torch.zeros(1) for _ in batches),
        "stops": lambda self, batches: iter(()),
        "raises": lambda self, batches: (1 / 0 for _ in batches),
        "nan": lambda self, batches: (torch.full((len(one.block),), torch.nan) for one in batches),
        "labels": lambda self, batches: (one.block.labels for one in batches),
    }.items():
        SCORES.register(name)(dataclass(type(name, (Broken,), {"stream": stream, "title": name})))
    try:
        run(space, "two", "oodd", "short", "stops", "raises", "nan", "labels")
        rows = {r.score: r for r in read_results(space.results_file("two", NET)) if r.ood == "strange"}
    finally:
        SCORES.keep([name for name in SCORES.names() if name not in {"short", "stops", "raises", "nan", "labels"}])
    assert rows["oodd"].auroc is not None
    assert "stream() returned a tensor of shape (1,)" in rows["short"].note
    assert "stream() returned a value of type NoneType" in rows["stops"].note
    assert "ZeroDivisionError" in rows["raises"].note
    assert "not a number" in rows["nan"].note
    assert "no labels" in rows["labels"].note


def test_a_class_that_cannot_be_one_is_refused():
    with pytest.raises(UsageError, match=r"no method stream\(self, batches\)"):
        SCORES.register("nothing")(Broken)
    bare = type(
        "Bare",
        (Score,),
        {
            "title": "Bare",
            "family": "feature",
            "paper": "Nobody, 2026",
            "needs": frozenset({"stream"}),
            "score": lambda self, block: block.features.sum(dim=1),
        },
    )
    with pytest.raises(UsageError, match="it needs a stream and is no subclass of"):
        SCORES.register("bare")(bare)


def test_the_example_of_the_docs_works(space, made, tmp_path):
    docs = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    (code,) = [one for one in docs.split("```") if "(OverStream)" in one]
    (tmp_path / "mean.py").write_text(code.removeprefix("python\n"), encoding="utf-8")
    before = SCORES.names()
    load_scores(tmp_path / "mean.py")
    try:
        run(space, "two", "against_mean", params={"against_mean": {"batch": 7, "seed": 2}})
    finally:
        SCORES.keep(before)
    (row,) = [r for r in read_results(space.results_file("two", NET)) if r.ood == "strange"]
    rows = np.concatenate([made["test"][0], made["strange"][0]]).astype(np.float64)
    order = order_of(len(rows), 2)
    found = np.empty(len(rows))
    for start in range(0, len(rows), 7):
        seen = rows[order[: start + 7]].mean(axis=0)
        part = order[start : start + 7]
        found[part] = np.linalg.norm(rows[part] - seen, axis=1)
    assert row.params == "batch=7;seed=2"
    assert row.auroc == pytest.approx(roc_auc_score(np.arange(len(rows)) < 50, found), abs=1e-9)
