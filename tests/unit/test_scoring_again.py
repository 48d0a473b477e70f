"""Scoring twice: which rows and row scores stay, what is noted about them, and what is refused rather than lost."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from moodbench.commands.cache import remove_caches
from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.errors import ResultsError
from moodbench.features.rowscores import read_row_scores, row_key
from moodbench.features.seal import BLOCK
from moodbench.results import provenance_file, read_provenance, read_results
from moodbench.workspace import Workspace

DATASETS = ("train", "test", "far")


def rows_of(name, seed=0):
    rng = np.random.default_rng([seed, DATASETS.index(name)])
    labels = np.arange(40 if name == "train" else 15) % 3
    features = rng.normal(size=(len(labels), 6)).astype(np.float32) + (5 if name == "far" else 0) + labels[:, None]
    return {"features": features} | ({} if name == "far" else {"labels": labels})


def put(space, dataset, seed=0):
    file = space.cache_dir.parent / f"{dataset}.npz"
    np.savez(file, **rows_of(dataset, seed))
    import_features("net", dataset, file, workspace=space)


@pytest.fixture
def space(tmp_path):
    benchmarks = {
        "b": {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}},
        "each": {
            "id_train": "train",
            "id_test": "test",
            "ood": {"others": ["test"]},
            "classes": {"ant": 0, "bee": 1, "cow": 2},
        },
    }
    catalog = {"datasets": {name: {"title": name} for name in DATASETS}, "benchmarks": benchmarks}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (tmp_path / "catalog.yaml",))
    for name in DATASETS:
        put(space, name)
    return space


def run(space, *scores, benchmark="b", params=None, save=True) -> list[str]:
    said: list[str] = []
    score(
        score=scores,
        benchmark=[benchmark],
        params=params,
        save_scores=save,
        device="cpu",
        workspace=space,
        report=said.append,
    )
    return said


def files(space, benchmark="b") -> tuple[Path, Path]:
    folder = space.results_dir / benchmark
    return folder / "net.csv", folder / "net.scores.h5"


def test_row_scores_have_their_parameters_and_ids(space):
    run(space, "knn", "euclid")
    run(space, "knn", params={"knn": {"k": 3}})
    with h5py.File(files(space)[1]) as h5:
        assert set(h5) == {"test", "far"}
        assert set(h5["far"]) == {"ids", "euclid", "knn", "knn[k=3]"}
        assert dict(h5["far"]["knn[k=3]"].attrs) == {"score": "knn", "params": "k=3"}
        assert h5["far"]["ids"].asstr()[:].tolist() == [str(i) for i in range(15)]
        assert (h5["far"]["knn"].shape, h5["far"]["knn"].dtype) == ((15,), np.float32)
        assert not np.array_equal(h5["far"]["knn"][:], h5["far"]["knn[k=3]"][:])
    assert {row.params for row in read_results(files(space)[0]) if row.score == "knn"} == {"k=50", "k=3"}


def test_parameters_stay_within_one_name():
    assert row_key("s", "k=1", "k=1") == "s"
    assert row_key("s", "file=a/b", "file=") == "s[file=a%2Fb]"


def test_row_scores_of_other_caches_are_never_mixed(space):
    run(space, "knn", "euclid")
    before = read_row_scores(files(space)[1])
    remove_caches(space, "net", ["far"])
    put(space, "far", seed=1)
    run(space, "knn", "euclid", save=False)  # the results are of the new caches now, the row scores are not
    said = run(space, "euclid")
    assert sum("scores.h5: made from other caches; its scores are dropped" in line for line in said) == 1
    assert not any("its rows are dropped" in line for line in said)
    after = read_row_scores(files(space)[1])
    assert set(after.arrays) == {"test/euclid", "test/ids", "far/euclid", "far/ids"}
    assert not np.array_equal(after.arrays["far/euclid"], before.arrays["far/euclid"])


def test_row_scores_of_benchmarks_with_one_class_at_a_time(space):
    for scores in (["euclid"], ["knn"], ["euclid", "knn"]):
        run(space, *scores, benchmark="each")
    found = read_row_scores(files(space, "each")[1])
    names = {"euclid", "knn", "ids"}
    assert set(found.arrays) == {f"{label}/test/{name}" for label in ("ant", "bee", "cow") for name in names}


def test_any_flipped_byte_of_row_scores_is_refused_before_the_work(space, monkeypatch):
    run(space, "euclid")
    file, before = files(space)[1], read_results(files(space)[0])
    data = file.read_bytes()
    monkeypatch.setattr("moodbench.evaluation.run.score_caches", lambda *a, **k: pytest.fail("the work was done"))
    for place in (0, 40, BLOCK, BLOCK + 9, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ResultsError, match="the row scores cannot be read"):
            run(space, "knn")
    for size in (0, 100, BLOCK, len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(ResultsError, match="the row scores cannot be read"):
            run(space, "knn")
    assert read_results(files(space)[0]) == before


def test_row_scores_of_older_versions_are_replaced(space):
    file = files(space)[1]
    file.parent.mkdir(parents=True)
    with h5py.File(file, "w") as h5:
        h5["far/old"] = np.zeros(3)
    assert any("its scores are dropped" in line for line in run(space, "euclid"))
    assert "far/old" not in read_row_scores(file).arrays


def test_kept_rows_keep_the_versions_that_made_them(space, monkeypatch):
    run(space, "knn", "euclid")
    file = files(space)[0]
    (first,) = read_provenance(file)["made_with"]
    monkeypatch.setattr("moodbench.evaluation.provenance.__version__", "99")
    monkeypatch.setattr("moodbench.evaluation.provenance.versions", lambda *names: dict.fromkeys(names, "99"))
    run(space, "euclid")
    run(space, "knn", params={"knn": {"k": 3}})
    second = "moodbench 99, numpy 99, scipy 99, torch 99"
    assert read_provenance(file)["made_with"] == {first: ["knn k=50"], second: ["euclid", "knn k=3"]}


def test_rows_from_before_versions_were_noted_get_those_of_their_run(space):
    run(space, "knn", "euclid")
    file = files(space)[0]
    legacy = read_provenance(file) | {"moodbench": "0.0.1", "versions": {"torch": "1"}}
    del legacy["made_with"]
    provenance_file(file).write_text(json.dumps(legacy))
    run(space, "euclid")
    made = read_provenance(file)["made_with"]
    assert made["moodbench 0.0.1, torch 1"] == ["knn k=50"]
    assert len(read_results(file)) == 6


def test_damaged_results_stay_and_the_other_models_are_scored(space):
    run(space, "euclid")
    file = files(space)[0]
    file.write_text(file.read_text().replace("0.", "0.0", 1) + " ")
    before = file.read_bytes()
    np.savez(space.cache_dir.parent / "x.npz", **rows_of("train"))
    for name in DATASETS:
        import_features("other", name, space.cache_dir.parent / f"{name}.npz", workspace=space)
    said: list[str] = []
    with pytest.raises(ResultsError, match="changed after they were written"):
        score(score=["knn"], benchmark=["b"], device="cpu", workspace=space, report=said.append)
    about = [line.partition(":")[0] for line in said if not line.startswith("note")]
    assert about == ["cannot score net on b", "scored other on b"]
    assert file.read_bytes() == before


@pytest.mark.parametrize(("suffixes", "what"), [((".csv", ".json"), "results"), ((".scores.h5",), "row scores")])
def test_results_in_the_place_of_others_are_never_dropped(space, suffixes, what):
    run(space, "msp")
    folder, other = space.results_dir / "b", space.results_dir / "each"
    other.mkdir()
    for suffix in suffixes:
        (other / f"net{suffix}").write_bytes((folder / f"net{suffix}").read_bytes())
    with pytest.raises(ResultsError, match=f"holds {what} of 'net' on 'b'"):
        run(space, "msp", benchmark="each")
    for suffix in suffixes:
        assert (other / f"net{suffix}").read_bytes() == (folder / f"net{suffix}").read_bytes()
