"""`moodbench score --head NAME`, with and without models beside it."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from moodbench.cli import app
from tests.worlds import make_world


def call(*args):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two models with features of one benchmark; the first has the head `probe`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", "catalog.yaml")
    names = ("train", "test", "ood")
    content = {
        "datasets": {name: {"title": name} for name in names},
        "benchmarks": {"ours": {"id_train": "train", "id_test": "test", "ood": {"far": ["ood"]}}},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for seed, model in enumerate(("alpha", "beta")):
        world = make_world(seed, classes=3, dim=8, rows=90)
        for name, rows in {"train": world.train, "test": world.train[::2] + 0.1, "ood": world.tests["ood"]}.items():
            labels = {} if name == "ood" else {"labels": world.labels if name == "train" else world.labels[::2]}
            np.savez("rows.npz", features=rows, **labels)
            assert call("import", "--model", model, "--dataset", name, "rows.npz").exit_code == 0
    assert call("probe", "--model", "alpha", "--device", "cpu").exit_code == 0
    return tmp_path


def test_a_head_by_itself_means_every_model_that_has_it(home):
    result = call("score", "--head", "probe", "--device", "cpu", "--threads", 1)
    assert result.exit_code == 0, result.stderr
    assert [file.name for file in sorted((home / "results" / "ours").glob("*.csv"))] == ["alpha+probe.csv"]


def test_a_head_that_nobody_has_is_named(home):
    result = call("score", "--head", "prob")
    assert result.exit_code == 2
    assert "there is no cached head 'prob'. Did you mean 'probe'?" in result.stderr
    assert "known cached heads: probe" in result.stderr
    assert not (home / "results").exists()


def test_a_head_that_a_model_lacks_is_named_with_those_that_it_has(home):
    result = call("score", "--model", "alpha", "--head", "prob")
    assert result.exit_code == 2
    assert "error: there is no cached head 'prob'. Did you mean 'probe'?" in result.stderr
    assert "known cached heads: probe" in result.stderr
    result = call("score", "--model", "beta", "--head", "probe")
    assert result.exit_code == 2
    assert "moodbench probe --model beta --name probe" in result.stderr
    assert "known cached heads: none" in result.stderr
    assert not (home / "results").exists()


def test_of_two_models_the_one_with_the_head_is_scored_and_the_other_named(home):
    result = call("score", "--model", "beta", "--model", "alpha", "--head", "probe", "--score", "msp")
    assert result.exit_code == 1
    assert "error: the model 'beta' has no head 'probe'" in result.stderr
    assert "make it: moodbench probe --model beta --name probe" in result.stderr
    assert [file.name for file in sorted((home / "results" / "ours").glob("*.csv"))] == ["alpha+probe.csv"]
