"""Scores run with several seeds: means, spreads, what is shared between seeds, and what a rerun leaves alone."""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest
import yaml

import moodbench
from moodbench.commands.import_ import import_features
from moodbench.errors import UsageError
from moodbench.evaluation.engine import Engine
from moodbench.evaluation.seeds import Copies
from moodbench.features.rowscores import read_row_scores
from moodbench.results import provenance_file, read_provenance, read_results, row_scores_file
from moodbench.results.table import FIELDS, format_rows, parse_rows
from moodbench.scores.base import create_score
from moodbench.types import MEAN
from moodbench.workspace import Workspace

DATASETS = ("train", "test", "far", "wide")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with caches; tests that write results take another folder for them."""
    folder = tmp_path_factory.mktemp("seeds")
    benchmarks = {
        "b": {"id_train": "train", "id_test": "test", "ood": {"far": ["far"], "near": ["wide"]}},
        "each": {
            "id_train": "train",
            "id_test": "test",
            "ood": {"others": ["test"]},
            "classes": {"ant": 0, "bee": 1, "cow": 2},
        },
    }
    catalog = {"datasets": {name: {"title": name} for name in DATASETS}, "benchmarks": benchmarks}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "catalog.yaml",))
    for number, name in enumerate(DATASETS):
        rng = np.random.default_rng(number)
        labels = np.arange(60 if name == "train" else 40) % 3
        scale = {"far": 1.5, "wide": 1.2}.get(name, 1.0)
        rows = {"features": (scale * rng.normal(size=(len(labels), 6)) + labels[:, None]).astype(np.float32)}
        np.savez(folder / f"{name}.npz", **rows | ({} if name in ("far", "wide") else {"labels": labels}))
        import_features("net", name, folder / f"{name}.npz", workspace=space)
    return space


@pytest.fixture
def space(made, tmp_path):
    return replace(made, results_dir=tmp_path)


def run(space, *scores, benchmark="b", **how):
    how.setdefault("report", lambda line: None)
    return moodbench.score(score=scores, benchmark=[benchmark], device="cpu", workspace=space, **how)


def file_of(space):
    return space.results_dir / "b" / "net.csv"


def by_place(rows, score):
    return {(row.ood, row.group): row for row in rows if row.score == score}


def text(rows, *scores):
    """Rows of some scores as they are stored."""
    return format_rows(row for row in rows if row.score in scores)


@pytest.mark.parametrize("benchmark", ["b", "each"])
def test_a_row_holds_the_means_over_the_seeds_and_their_spread(space, benchmark):
    single = [
        by_place(run(space, "kmeans", benchmark=benchmark, params={"kmeans": {"seed": seed}}), "kmeans")
        for seed in (4, 5, 6)
    ]
    found = by_place(run(space, "kmeans", benchmark=benchmark, params={"kmeans": {"seed": 4}}, seeds=3), "kmeans")
    assert list(found) == list(single[0])
    for place, row in found.items():
        each = [rows[place] for rows in single]
        assert (row.seeds, row.params) == (3, "clusters=0;rows=10000;seed=4..6")
        for metric in ("auroc", "fpr95", "aupr_in", "autc", "detection_accuracy"):
            assert getattr(row, metric) == pytest.approx(statistics.mean(getattr(one, metric) for one in each))
        assert row.auroc_seed_sd == pytest.approx(statistics.stdev(one.auroc for one in each), abs=1e-12)
        assert row.fpr95_seed_sd == pytest.approx(statistics.stdev(one.fpr95 for one in each), abs=1e-12)
        if benchmark == "b":
            assert row.auroc_low == pytest.approx(statistics.mean(one.auroc_low for one in each))
            assert row.auroc_high == pytest.approx(statistics.mean(one.auroc_high for one in each))
        else:
            assert row.auroc_low is None or place[0] != MEAN
        assert {one.seeds for one in each} == {1}
        assert {one.auroc_seed_sd for one in each} == {None}


def test_the_spread_of_a_mean_is_that_of_the_means(space):
    rows = by_place(run(space, "random", seeds=8), "random")
    far, wide, mean = (rows[place] for place in (("far", "far"), ("wide", "near"), (MEAN, "all")))
    assert mean.auroc == pytest.approx((far.auroc + wide.auroc) / 2)
    assert mean.auroc_seed_sd < (far.auroc_seed_sd + wide.auroc_seed_sd) / 2 - 1e-3


def test_scores_without_a_seed_are_as_they_were(space):
    usual = run(space, "euclid", "knn")
    several = run(space, "euclid", "knn", "kmeans", seeds=2)
    assert text(several, "euclid", "knn") == text(usual, "euclid", "knn")
    assert {(row.seeds, row.auroc_seed_sd, row.fpr95_seed_sd) for row in usual} == {(None, None, None)}


def test_passes_over_the_rows_serve_all_seeds(space, monkeypatch):
    read = []
    blocks = Engine.blocks
    monkeypatch.setattr(Engine, "blocks", lambda self, *a, **k: (read.append(a[0].file.stem), blocks(self, *a, **k))[1])
    run(space, "kmeans", "rpd", "corp")
    once = list(read)
    read.clear()
    run(space, "kmeans", "rpd", "corp", seeds=4)
    assert read == once


def test_the_first_seed_s_row_scores_are_saved(space):
    run(space, "kmeans", save_scores=True, params={"kmeans": {"seed": 2}})
    file = row_scores_file(file_of(space))
    before = read_row_scores(file)
    run(space, "kmeans", save_scores=True, params={"kmeans": {"seed": 2}}, seeds=3)
    after = read_row_scores(file)
    assert set(after.arrays) == set(before.arrays)
    assert after.attributes == before.attributes
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], array)


def test_another_number_of_seeds_is_another_parameter(space):
    run(space, "kmeans", "euclid")
    file = file_of(space)
    one = read_results(file)
    run(space, "kmeans", seeds=3)
    run(space, "kmeans", seeds=2)
    rows = read_results(file)
    assert [row for row in rows if row.seeds in (None, 1)] == one
    assert {row.params for row in rows if row.score == "kmeans"} == {
        f"clusters=0;rows=10000;seed={seed}" for seed in ("0", "0..1", "0..2")
    }
    (made_with,) = read_provenance(file)["made_with"].values()
    assert made_with == ["euclid", *(f"kmeans clusters=0;rows=10000;seed={seed}" for seed in ("0", "0..1", "0..2"))]


def test_a_rerun_with_seeds_runs_random_scores_alone(space, monkeypatch):
    usual = run(space, "kmeans", "euclid", "knn")
    ran, said = [], []
    original = Copies.make
    monkeypatch.setattr(Copies, "make", lambda scores, seeds: (ran.append(sorted(scores)), original(scores, seeds))[1])
    rows = run(space, "kmeans", "euclid", "knn", "lof", seeds=2, report=said.append)
    assert ran == [["kmeans", "lof"]]
    assert "net on b: kept the results of 2 scores without a random part" in said
    assert text(rows, "euclid", "knn") == text(usual, "euclid", "knn")
    assert text(run(space, "euclid", seeds=2), "euclid") == text(usual, "euclid")
    assert len(ran) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda space: {"params": {"knn": {"k": 3}}},
        lambda space: {"bank_rows": 20},
        lambda space: {"save_scores": True},
    ],
)
def test_what_a_rerun_would_change_is_run_again(space, monkeypatch, change):
    run(space, "knn")
    ran = []
    original = Copies.make
    monkeypatch.setattr(Copies, "make", lambda scores, seeds: (ran.append(sorted(scores)), original(scores, seeds))[1])
    run(space, "knn", seeds=2, **change(space))
    assert ran == [["knn"]]


def test_other_versions_made_other_rows(space, monkeypatch):
    run(space, "euclid")
    monkeypatch.setattr("moodbench.evaluation.provenance.__version__", "99")
    monkeypatch.setattr("moodbench.evaluation.provenance.versions", lambda *names: dict.fromkeys(names, "99"))
    run(space, "euclid", seeds=2)
    assert list(read_provenance(file_of(space))["made_with"]) == ["moodbench 99, numpy 99, scipy 99, torch 99"]


def test_a_seed_that_fails_empties_the_cell_and_says_which(space, monkeypatch):
    kmeans = type(create_score("kmeans"))
    fit = kmeans.fit

    def failing(self, train):
        if self.seed == 1:
            raise ValueError("no luck")
        yield from fit(self, train)

    monkeypatch.setattr(kmeans, "fit", failing)
    rows = run(space, "kmeans", "euclid", seeds=3)
    kept = [row for row in rows if row.score == "kmeans"]
    assert {(row.auroc, row.auroc_low, row.auroc_seed_sd, row.seeds) for row in kept} == {(None, None, None, 3)}
    assert {row.note for row in kept} == {"seed 1: failed: ValueError: no luck"}
    assert all(row.auroc is not None for row in rows if row.score == "euclid")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"seeds": 0}, "between 1 and 100, got 0"),
        ({"seeds": 101}, "between 1 and 100, got 101"),
        ({"seeds": 3, "params": {"kmeans": {"seed": 2**32 - 2}}}, "'kmeans.seed' may be at most"),
    ],
)
def test_numbers_of_seeds_that_make_no_sense(space, how, message):
    with pytest.raises(UsageError, match=message):
        run(space, "kmeans", **how)
    assert not file_of(space).exists()


def test_equal_runs_with_seeds_write_equal_bytes(space):
    run(space, "kmeans", "random", seeds=3)
    file = file_of(space)
    before = file.read_bytes(), provenance_file(file).read_bytes()
    run(space, "kmeans", "random", seeds=3)
    assert (file.read_bytes(), provenance_file(file).read_bytes()) == before


def test_rows_of_before_seeds_are_read_as_rows_of_seed_0(space, tmp_path):
    rows = [row for row in run(space, "kmeans", "rpd", "knn") if row.ood == "far"]
    later = [FIELDS.index(name) for name in ("auroc_seed_sd", "fpr95_seed_sd", "seeds")]
    lines = [line.split(",") for line in format_rows(rows).splitlines()]
    old = "\n".join(",".join(cell for i, cell in enumerate(cells) if i not in later) for cells in lines)
    old = old.replace("clusters=0;rows=10000;seed=0", "clusters=0;rows=10000")
    found = parse_rows(f"{old}\n".encode(), tmp_path / "old.csv")
    assert {row.score: (row.params, row.seeds) for row in found} == {row.score: (row.params, row.seeds) for row in rows}
    assert {row.seeds for row in found if row.score == "knn"} == {None}
