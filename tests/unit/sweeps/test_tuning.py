"""Parameters chosen on validation sets: by plain comparison, on no test row, and what the results say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import moodbench
from moodbench.commands.import_ import import_features
from moodbench.errors import CacheError, CacheMismatchError, CatalogError, UsageError
from moodbench.evaluation.kept import kept_rows
from moodbench.params import is_tuned
from moodbench.results import read_provenance
from moodbench.results.table import format_rows
from moodbench.scores.base import SCORES
from moodbench.scores.machinery.parameters import checked
from moodbench.scores.machinery.variants import make_candidates, score_of
from moodbench.workspace import ModelName, Workspace
from tests.sweeping import arrays_of, mean_of

QUIET = {"device": "cpu", "report": lambda line: None}
VALUES = [1, 3, 9, 27]


def auroc(of_id, of_ood):
    return (np.greater.outer(of_id, of_ood).mean() + np.equal.outer(of_id, of_ood).mean() / 2).item()


def nth_cosine(rows, train, k):
    rows, train = (some / np.linalg.norm(some, axis=1, keepdims=True) for some in (rows, train))
    return np.sort(rows @ train.T, axis=1)[:, -k]


@pytest.mark.parametrize("benchmark", ["b", "plain"])
def test_the_best_on_the_validation_sets_is_chosen(space, benchmark):
    how = {"model": "net", "score": "knn", "benchmark": benchmark, "workspace": space, **QUIET}
    rows = moodbench.score(params={"knn": {"k": VALUES}}, tune=True, **how)
    train, val, outliers = (arrays_of(space, name)[0].astype(float) for name in ("train", "val", "outliers"))
    if benchmark == "plain":  # it has no ID validation set
        held = np.arange(len(train)) % 10 == 9
        train, val = train[~held], train[held]
    reached = {k: auroc(nth_cosine(val, train, k), nth_cosine(outliers, train, k)) for k in VALUES}
    best = max(reached, key=reached.get)
    assert {row.params for row in rows} == {"tuned=k"}
    assert all(row.note.startswith(f"k={best} of 1, 3, 9, 27") for row in rows)
    tuned = read_provenance(space.results_file(benchmark, ModelName("net")))["tuned"]["knn tuned=k"]
    assert tuned["auroc"] == pytest.approx({f"k={k}": value for k, value in reached.items()}, abs=1e-6)
    assert list(tuned["ood_val"]) == ["outliers"]
    plain = moodbench.score(params={"knn": {"k": best}}, **how)
    assert mean_of(plain, "knn", f"k={best}").auroc == mean_of(rows, "knn", "tuned=k").auroc


def test_test_rows_have_no_part_in_the_choice(cached, tmp_path):
    """With test sets that say the contrary, the same is chosen."""
    space = replace(cached, cache_dir=tmp_path / "cache", results_dir=tmp_path / "results")
    turned = {"test": "far", "far": "test", "near": "near", "train": "train", "val": "val", "outliers": "outliers"}
    for name, source in turned.items():
        features, labels = arrays_of(cached, source)
        rows = {"features": features} | ({"labels": np.arange(len(features)) % 3} if name == "test" else {})
        rows |= {"labels": labels} if name in ("train", "val") else {}
        np.savez(tmp_path / "rows.npz", **rows)
        import_features("net", name, tmp_path / "rows.npz", workspace=space)
    how = {"model": "net", "score": "knn", "params": {"knn": {"k": VALUES}}, "tune": True, **QUIET}
    notes = [
        {row.note for row in moodbench.score(benchmark="b", workspace=one, **how)}
        for one in (replace(cached, results_dir=tmp_path / "other"), space)
    ]
    assert notes[0] == notes[1]


def test_results_say_what_was_tuned_on_what_and_stand_beside_the_others(space):
    how = {"model": "net", "benchmark": "b", "workspace": space, **QUIET}
    before = moodbench.score(score=["knn", "msp"], **how)
    rows = moodbench.score(score=["knn", "msp"], tune=True, **how)
    assert {row.score for row in rows} == {"knn"}
    assert {row.remarks[-1] for row in rows} == {
        "tuned: the parameters with the highest AUROC of val against outliers, no test rows"
    }
    there = [moodbench.frame(benchmark="b", means=means, workspace=space) for means in (False, True)]
    assert sum(map(len, there)) == len(before) + len(rows)
    text = str(moodbench.table(benchmark="b", workspace=space))
    assert "KNN (tuned=k)" in text
    assert "highest AUROC of val against outliers" in text
    assert ("knn", "tuned=k") in kept_rows(space, "b", "net").kept.names
    moodbench.score(score="msp", **how)  # keeps what was said of the tuned rows
    assert "knn tuned=k" in read_provenance(space.results_file("b", ModelName("net")))["tuned"]


def test_without_a_better_one_the_defaults_stay(space):
    """Every temperature gives the order of energies of logits far apart; of equals the default is taken."""
    params = {"vra": {"absolute": ["false", "true"]}}
    rows = moodbench.score(model="net", score="vra", benchmark="b", params=params, tune=True, workspace=space, **QUIET)
    note = rows[0].note.partition(" of ")[0]
    reached = read_provenance(space.results_file("b", ModelName("net")))["tuned"]
    (values,) = (entry["auroc"].values() for entry in reached.values())
    assert note == "absolute=False" or max(values) > next(iter(values))


def test_fixed_parameters_stay_fixed(space):
    params = {"gen": {"top": 2, "gamma": [0.1, 0.5]}}
    rows = moodbench.score(model="net", score="gen", benchmark="b", params=params, tune=True, workspace=space, **QUIET)
    assert {row.params for row in rows} == {"top=2;tuned=gamma"}
    candidates = make_candidates(["knn", "gen"], {"gen": {"gamma": 0.5}})
    assert {one.gamma for label, one in candidates.scores.items() if score_of(label) == "gen"} == {0.5}
    assert candidates.tuned == {"knn": ("k",), "gen": ("top",)}


def test_seeds_are_for_the_result_alone(space):
    params = {"kmeans": {"clusters": [2, 4]}}
    how = {"model": "net", "score": "kmeans", "benchmark": "b", "workspace": space, **QUIET}
    rows = moodbench.score(params=params, tune=True, seeds=2, **how)
    assert {(row.params, row.seeds) for row in rows} == {("rows=10000;seed=0..1;tuned=clusters", 2)}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"score": "msp"}, "there is no parameter to tune in msp"),
        ({"score": "knn", "label_noise": 0.1}, "--tune and --label-noise"),
        ({"score": "knn", "benchmark": "each"}, "names no OOD images to choose parameters on"),
    ],
)
def test_what_cannot_be_tuned_is_refused(space, how, said):
    with pytest.raises(UsageError, match=said):
        moodbench.score(tune=True, **{"benchmark": "b", "model": "net", "workspace": space} | QUIET | how)


def test_validation_rows_that_are_not_cached_are_named(cached, tmp_path):
    space = replace(cached, cache_dir=tmp_path / "cache", results_dir=tmp_path / "results")
    for name in ("train", "val", "test", "far"):
        features, labels = arrays_of(cached, name)
        np.savez(tmp_path / "rows.npz", features=features, labels=labels)
        import_features("net", name, tmp_path / "rows.npz", workspace=space)
    with pytest.raises(CacheError, match="no cache of outliers") as caught:
        moodbench.score(model="net", score="knn", benchmark="b", tune=True, workspace=space, **QUIET)
    assert "--dataset outliers" in str(caught.value.fix)


@pytest.mark.parametrize(("overlap", "ids"), [(1, True), (5, False)])
def test_images_in_a_validation_and_a_test_set_are_refused(cached, tmp_path, overlap, ids):
    space = replace(cached, cache_dir=tmp_path / "cache", results_dir=tmp_path / "results")
    for name in ("train", "val", "test", "far", "near", "outliers"):
        features, labels = arrays_of(cached, name)
        rows = {"features": features, "ids": np.array([f"{name}/{i}" for i in range(len(features))])}
        if name == "outliers":
            rows["features"][:overlap] = arrays_of(cached, "far")[0][:overlap]
            if ids:
                rows["ids"][:overlap] = [f"far/{i}" for i in range(overlap)]
        np.savez(tmp_path / "rows.npz", **rows | ({"labels": labels} if labels.max() >= 0 else {}))
        import_features("net", name, tmp_path / "rows.npz", workspace=space)
    with pytest.raises(CacheMismatchError, match=f"{overlap} images of the validation set 'outliers'.*'far'"):
        moodbench.score(model="net", score="knn", benchmark="b", tune=True, workspace=space, **QUIET)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("ood_val: far", "uses 'far' more than once"),
        ("ood_val: [test]", "uses 'test' more than once"),
        ("ood_val: 3", "has ood_val: 3"),
        ("ood_val: nowhere", "'nowhere', which no catalogue declares"),
    ],
)
def test_a_catalogue_cannot_name_test_sets_for_validation(tmp_path, keys, said):
    file = tmp_path / "c.yaml"
    sets = "".join(f"  {name}: {{title: {name}}}\n" for name in ("train", "test", "far"))
    roles = f"    id_train: train\n    id_test: test\n    ood: {{far: [far]}}\n    {keys}\n"
    file.write_text(f"datasets:\n{sets}benchmarks:\n  q:\n{roles}")
    with pytest.raises(CatalogError, match=said):
        Workspace(catalogs=(file,)).catalog  # noqa: B018 - read when it is asked for


@pytest.mark.parametrize("name", [name for name in SCORES.names() if SCORES.get(name).sweep])
def test_sweeps_name_parameters_and_fitting_values(name):
    cls = SCORES.get(name)
    for key, values in cls.sweep.items():
        default = cls.parameters()[key]
        assert [checked(name, key, value, default) for value in values] == list(values)
        assert list(values) in (sorted(values), sorted(values, reverse=True))
    assert make_candidates([name], {}).tuned == {name: tuple(key for key in cls.parameters() if key in cls.sweep)}


def test_equal_runs_give_equal_rows(space):
    how = {"model": "net", "score": ["knn", "gen"], "benchmark": "b", "tune": True, "workspace": space, **QUIET}
    assert format_rows(moodbench.score(**how)) == format_rows(moodbench.score(**how))
    assert all(is_tuned(row.params) for row in moodbench.score(**how))
