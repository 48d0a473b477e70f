"""docs/extending.md's score over layers, followed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import moodbench
from moodbench.commands.import_ import import_features
from moodbench.results import read_results
from moodbench.scores.base import SCORES
from moodbench.workspace import ModelName, Workspace

CATALOG = """
datasets:
  train: {title: Train, role: ID train, folder: train, labels: none, images: 9}
  test: {title: Test, role: ID test, folder: test, labels: none, images: 9}
  far: {title: Far, role: far-OOD, folder: far, labels: none, images: 9}
benchmarks:
  deep: {title: Deep, id_train: train, id_test: test, ood: {far: [far]}}
"""
DOCS = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def example(tmp_path):
    """The docs' example in a file; what it registers is forgotten afterwards."""
    blocks = [one.split("```")[0] for one in DOCS.read_text(encoding="utf-8").split("```python\n")[1:]]
    (code,) = [one for one in blocks if "(OverLayers)" in one]
    body = code.partition("class Turn")[2].splitlines()
    assert len([line for line in body if line.strip()]) <= 10
    (tmp_path / "turn.py").write_text(code, encoding="utf-8")
    before = set(SCORES.names())
    moodbench.scores.base.load_scores(tmp_path / "turn.py")
    yield
    SCORES.keep(before)


def test_the_score_over_layers_of_the_docs_works(tmp_path, example):
    (tmp_path / "c.yaml").write_text(CATALOG)
    space = Workspace(tmp_path / "d", tmp_path / "cache", tmp_path / "results", (tmp_path / "c.yaml",))
    cosines = {}
    for dataset, turn in (("train", 0.0), ("test", 0.1), ("far", 0.4)):
        x = np.random.default_rng([9, len(dataset)]).normal(size=(9, 4))
        layers = {"a": x, "b": x[::-1], "c": x + turn * np.roll(x, 1, axis=1)}
        cosines[dataset] = (layers["a"] * layers["c"]).sum(1)
        cosines[dataset] /= np.linalg.norm(layers["a"], axis=1) * np.linalg.norm(layers["c"], axis=1)
        for model, features in (("net", x), *((f"net@layer-{name}", one) for name, one in layers.items())):
            np.savez(tmp_path / "x.npz", features=features.astype(np.float32), ids=[f"{dataset}/{i}" for i in range(9)])
            import_features(model, dataset, tmp_path / "x.npz", workspace=space)
    moodbench.score(model="net", benchmark="deep", score="turn", workspace=space)
    (row,) = [row for row in read_results(space.results_file("deep", ModelName("net"))) if row.ood == "far"]
    assert row.auroc == pytest.approx((cosines["test"][:, None] > cosines["far"]).mean())
