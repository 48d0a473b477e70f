"""A workspace with the caches of two models on a benchmark with validation sets, and a folder for results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from moodbench.commands.import_ import import_features
from moodbench.workspace import Workspace

ROWS = {"train": 90, "val": 30, "test": 40, "far": 40, "near": 30, "outliers": 30}


@pytest.fixture(scope="session")
def cached(tmp_path_factory):
    """The caches; tests that write results take another folder for them, as `space` does."""
    folder = tmp_path_factory.mktemp("sweeps")
    roles = {"id_train": "train", "id_val": "val", "id_test": "test", "ood": {"far": ["far"], "near": ["near"]}}
    without = {key: value for key, value in roles.items() if key != "id_val"}
    turns = {"id_train": "train", "id_test": "test", "ood": {"others": ["test"]}, "classes": {"ant": 0, "bee": 1}}
    catalog = {
        "datasets": {name: {"title": name} for name in ROWS},
        "benchmarks": {
            "b": roles | {"ood_val": "outliers"},
            "plain": without | {"ood_val": ["outliers"]},
            "each": turns,
        },
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "catalog.yaml",))
    for model, seed in (("net", 0), ("other", 1)):
        for number, (name, rows) in enumerate(ROWS.items()):
            rng = np.random.default_rng([seed, number])
            labels = np.arange(rows) % 3
            ood = name in ("far", "near", "outliers")
            centres = 0.8 * labels[:, None] * (np.arange(8) % 3 == labels[:, None] % 3)
            spread = {"far": 1.6, "near": 1.2, "outliers": 1.4}.get(name, 1.0)
            arrays = {"features": (spread * rng.normal(size=(rows, 8)) + (0 if ood else centres)).astype(np.float32)}
            np.savez(folder / "rows.npz", **arrays | ({} if ood else {"labels": labels}))
            head = folder / "head.npz"
            weight = (np.arange(8) % 3 == np.arange(3)[:, None]).astype(np.float32)
            np.savez(head, weight=weight, bias=np.zeros(3, np.float32))
            import_features(model, name, folder / "rows.npz", head=head, workspace=space)
    return space


@pytest.fixture
def space(cached, tmp_path):
    """The workspace with a folder of its own for results, and for row scores of its own."""
    return replace(cached, results_dir=tmp_path / "results")
