"""A pretext task that moodbench does not know: a model of it is listed, scored, tabulated and drawn like others."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from moodbench.cli import app

FAR = ("solving puzzles", "Rotation")


def moodbench(*args, code=0):
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == code, done.output
    return done.output if code else done.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    datasets = ("train", "test", "far")
    models = {
        "known": {"title": "Known", "pretext": "hybrid", "timm": "test_vit"},
        "puzzle": {"title": "Puzzle", "pretext": FAR[0], "timm": "test_vit"},
    }
    catalog = {
        "datasets": {name: {"title": name} for name in datasets},
        "benchmarks": {"b": {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}}},
        "models": models,
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", "catalog.yaml")
    for number, name in enumerate(datasets):
        np.savez(name, features=np.random.default_rng(number).normal(size=(30, 4)).astype(np.float32))
    return tmp_path


def test_it_works_from_list_to_plot(folder):
    for model in ("puzzle", "known", "turned"):
        pretext = ["--pretext", FAR[1]] if model == "turned" else []
        for dataset in ("train", "test", "far"):
            moodbench("import", "--model", model, "--dataset", dataset, f"{dataset}.npz", *pretext)
    listed = {one["name"]: one["pretext"] for one in json.loads(moodbench("list", "models", "--json"))}
    assert listed["puzzle"] == FAR[0]
    assert FAR[0] in moodbench("list", "models")
    assert "puzzle" in moodbench("list", "models", "--fair")
    assert {one["name"] for one in json.loads(moodbench("list", "models", "--pretext", FAR[0], "--json"))} == {"puzzle"}
    assert "--pretext cannot be 'solving puzzle'" in moodbench("list", "models", "--pretext", "solving puzzle", code=2)
    moodbench("score", "--all", "--score", "euclid", "--score", "knn")
    records = json.loads(moodbench("table", "--format", "json"))[0]["records"]
    order = list(dict.fromkeys(one["pretext"] for one in records))
    assert order == ["hybrid", *sorted(FAR)]
    for format in ("markdown", "latex", "html", "csv", "plain"):
        text = moodbench("table", "--format", format)
        assert all(pretext in text for pretext in FAR), format
    moodbench("plot", "grid", "--out", "grid.svg")
    assert "<svg" in (folder / "grid.svg").read_text()


@pytest.mark.parametrize("pretext", ["Hybrid", "masked image modelling", "contrastve", "", "two\nlines", "x" * 61])
def test_what_is_nearly_a_known_one_or_no_name_is_refused(folder, pretext):
    said = moodbench("import", "--model", "m", "--dataset", "train", "train.npz", "--pretext", pretext, code=2)
    assert "the pretext task is '" in said
    entry = {"models": {"m": {"title": "M", "pretext": pretext, "timm": "test_vit"}}}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(entry))
    assert "model 'm' has pretext: '" in moodbench("list", "models", code=1)
