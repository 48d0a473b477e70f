"""Ensembles: which models are members, by the catalogue or by name, and what refuses them."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import yaml
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

import moodbench
from moodbench import detectors
from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.errors import MoodbenchError, UsageError
from moodbench.features.heads import write_head
from moodbench.results import read_provenance, read_results
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace

SIZES = {"train": 60, "test": 40, "far": 30}
MODELS = ("s0", "s1", "s2", "loner")


def features_of(model, dataset):
    rng = np.random.default_rng([MODELS.index(model) if model in MODELS else 9, len(dataset), SIZES[dataset]])
    truth = np.arange(SIZES[dataset]) % 3
    shift = 0.4 * np.eye(3, 5)[truth] * (dataset != "far")
    return (rng.normal(size=(len(truth), 5)) + shift).astype(np.float32), truth


def head_of(model, classes=3):
    rng = np.random.default_rng([7, MODELS.index(model)])
    return Head(
        (np.eye(classes, 5) + 0.3 * rng.normal(size=(classes, 5))).astype(np.float32), np.zeros(classes, np.float32)
    )


def put(space, model, dataset, *, ids=None, head=None):
    features, truth = features_of(model, dataset)
    names = [f"{dataset}/{i:03}" for i in range(len(truth))] if ids is None else ids
    file = space.cache_dir.parent / f"{model}-{dataset}.npz"
    np.savez(file, features=features, ids=names, **({} if dataset == "far" else {"labels": truth}))
    import_features(model, dataset, file, head=head, workspace=space)


@pytest.fixture
def space(tmp_path):
    entry = {"pretext": "classification", "timm": "resnet18"}
    catalog = {
        "datasets": {name: {"title": name} for name in SIZES},
        "benchmarks": {"b": {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}}},
        "models": {
            **{name: {"title": name, "runs": "mine", **entry} for name in ("s0", "s1", "s2", "absent")},
            "loner": {"title": "Loner", **entry},
        },
    }
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(catalog))
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    for model in MODELS:
        head = head_of(model)
        np.savez(tmp_path / f"{model}.npz", weight=head.weight, bias=head.bias)
        for dataset in SIZES:
            put(space, model, dataset, head=tmp_path / f"{model}.npz")
    return space


def run(space, model, *names, **how):
    said: list[str] = []
    given = {"benchmark": "b", "model": model, "device": "cpu", "workspace": space, "report": said.append}
    score(score=names or ["ensemble"], **given, **how)
    rows = read_results(space.results_file("b", ModelName.parse(model)))
    return {row.score: row for row in rows if row.ood == "far"}, said


def mean_of(*models, dataset):
    each = []
    for model in models:
        head = head_of(model)
        each.append(
            softmax(features_of(model, dataset)[0].astype(np.float64) @ head.weight.T.astype(np.float64), axis=1)
        )
    return np.mean(each, axis=0).max(axis=1)


def auroc(*models):
    parts = [mean_of(*models, dataset=dataset) for dataset in ("test", "far")]
    return roc_auc_score(np.r_[np.ones(40), np.zeros(30)], np.concatenate(parts))


def test_members_are_the_other_training_runs(space):
    rows, said = run(space, "s0", "ensemble", "ensemble_mi", "msp")
    assert rows["ensemble"].auroc == pytest.approx(auroc("s0", "s1", "s2"), abs=1e-9)
    assert rows["ensemble"].note == "3 training runs of equal weight: the model and s1, s2"
    assert rows["ensemble_mi"].auroc is not None
    assert rows["msp"].auroc == pytest.approx(auroc("s0"), abs=1e-9)
    assert not [line for line in said if "absent" in line]
    other, _ = run(space, "s2")
    assert other["ensemble"].auroc == pytest.approx(rows["ensemble"].auroc, abs=1e-9)


def test_members_are_those_that_are_named(space):
    rows, _ = run(space, "loner", params={"ensemble": {"members": "s1 s2"}})
    assert rows["ensemble"].auroc == pytest.approx(auroc("loner", "s1", "s2"), abs=1e-9)
    assert (rows["ensemble"].params, rows["ensemble"].note) == (
        "members=s1 s2",
        "3 members of equal weight: the model and s1, s2",
    )
    made = read_provenance(space.results_file("b", ModelName("loner")))["views"]["ensemble members=s1 s2"]
    assert set(made) == {"member-s1", "member-s2"}


def test_several_choices_of_members_are_variants(space):
    score(
        score=["ensemble"],
        benchmark="b",
        model="loner",
        params={"ensemble": {"members": ["s1", "s1 s2"]}},
        device="cpu",
        workspace=space,
    )
    rows = read_results(space.results_file("b", ModelName("loner")))
    found = {row.params: row.auroc for row in rows if row.ood == "far"}
    assert found["members=s1"] == pytest.approx(auroc("loner", "s1"), abs=1e-9)
    assert found["members=s1 s2"] == pytest.approx(auroc("loner", "s1", "s2"), abs=1e-9)


def test_heads_of_members_that_have_a_name_are_used(space):
    other = head_of("loner")
    space.head_file(ModelName("s1", head="probe")).parent.mkdir(parents=True)
    write_head(space.head_file(ModelName("s1", head="probe")), other)
    rows, _ = run(space, "loner", params={"ensemble": {"members": "s1+probe"}})
    parts = []
    for dataset in ("test", "far"):
        each = [features_of(model, dataset)[0].astype(np.float64) @ other.weight.T for model in ("loner", "s1")]
        parts.append(np.mean([softmax(one, axis=1) for one in each], axis=0).max(axis=1))
    assert rows["ensemble"].auroc == pytest.approx(
        roc_auc_score(np.r_[np.ones(40), np.zeros(30)], np.concatenate(parts))
    )


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ("loner", "'loner' is the model itself"),
        ("partial", "no cache of test, far of 'partial'"),
        ("strange", "has other images, or in another order, than 'loner' on 'test'"),
        ("wide", "'wide' has 4 classes, and the model 3"),
        ("bare", "'bare' has no logits"),
    ],
)
def test_what_cannot_be_a_member_leaves_the_cell_empty_and_says_why(space, tmp_path, members, why):
    np.savez(tmp_path / "wide.npz", weight=np.eye(4, 5, dtype=np.float32), bias=np.zeros(4, np.float32))
    for dataset, rows in SIZES.items():
        ids = [f"{dataset}/{i:03}" for i in range(rows)]
        put(space, "strange", dataset, ids=ids[::-1] if dataset == "test" else None, head=tmp_path / "loner.npz")
        put(space, "wide", dataset, head=tmp_path / "wide.npz")
        put(space, "bare", dataset)
    put(space, "partial", "train", head=tmp_path / "loner.npz")
    said: list[str] = []
    given = {"benchmark": "b", "model": "loner", "device": "cpu", "workspace": space, "report": said.append}
    with suppress(MoodbenchError):  # a score that was named has stayed empty
        score(score=["ensemble", "msp"], params={"ensemble": {"members": members}}, **given)
    assert [line for line in said if line.startswith("no member of the ensemble of loner: ") and why in line]
    rows = {row.score: row for row in read_results(space.results_file("b", ModelName("loner"))) if row.ood == "far"}
    assert rows["msp"].auroc is not None
    assert rows["ensemble"].auroc is None
    assert why in rows["ensemble"].note


@pytest.mark.parametrize(
    ("members", "message"), [("s1 s22", "no cached model 's22'. Did you mean 's2'"), ("../x", "cannot name a model")]
)
def test_members_of_which_nothing_is_cached_are_refused_before_anything_is_written(space, members, message):
    with pytest.raises(UsageError, match=message):
        run(space, "loner", "ensemble", "msp", params={"ensemble": {"members": members}})
    assert not space.results_file("b", ModelName("loner")).exists()


def test_a_model_without_runs_is_left_out_where_all_scores_are_asked_for(space):
    said: list[str] = []
    score(benchmark="b", model="loner", device="cpu", workspace=space, report=said.append)
    assert "ensemble" not in {row.score for row in read_results(space.results_file("b", ModelName("loner")))}


def test_a_member_that_changed_makes_results_stale(space, tmp_path):
    run(space, "s0", "ensemble", "msp")
    space.cache_file(ModelName("s1"), "far").unlink()
    features, _ = features_of("s1", "far")
    np.savez(tmp_path / "far.npz", features=features + 1, ids=[f"far/{i:03}" for i in range(30)])
    import_features("s1", "far", tmp_path / "far.npz", head=tmp_path / "s1.npz", workspace=space)
    text = str(moodbench.table(benchmark="b", model="s0", workspace=space))
    assert "stale" in text
    with pytest.raises(MoodbenchError, match="there are none of ensemble"):
        moodbench.rank(benchmark="b", model="s0", workspace=space)


def test_what_judges_single_images_refuses_ensembles():
    with pytest.raises(UsageError, match="reads more than one vector of an image"):
        detectors.of("ensemble")
