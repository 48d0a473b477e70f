"""A model with two layers beside it, of features drawn by chance."""

from __future__ import annotations

import numpy as np

from moodbench.commands.import_ import import_features
from moodbench.workspace import ModelName, Workspace

ROWS = {"train": 40, "test": 20, "far": 25}
CATALOG = """
datasets:
  train: {title: Train, role: ID train, folder: train, labels: none, images: 40}
  test: {title: Test, role: ID test, folder: test, labels: none, images: 20}
  far: {title: Far, role: far-OOD, folder: far, labels: none, images: 25}
benchmarks:
  deep: {title: Deep, id_train: train, id_test: test, ood: {far: [far]}}
"""


def put(space, model, dataset, *, ids=None, seed=0, dim=4):
    """Put drawn rows into the cache of (model, dataset), and return them."""
    rows = ROWS[dataset]
    x = np.random.default_rng([seed, rows]).normal(size=(rows, dim)).astype(np.float32)
    file = space.cache_dir.parent / f"{model}-{dataset}.npz"
    np.savez(file, features=x, ids=np.array(ids or [f"{dataset}/{i}.png" for i in range(rows)]))
    space.cache_file(ModelName.parse(model), dataset).unlink(missing_ok=True)
    import_features(model, dataset, file, workspace=space)
    return x


def deep_space(tmp_path):
    """Return a workspace with a model, `net`, and its layers `b.0` and `b.1` on the benchmark `deep`."""
    (tmp_path / "c.yaml").write_text(CATALOG)
    space = Workspace(tmp_path / "d", tmp_path / "cache", tmp_path / "results", (tmp_path / "c.yaml",))
    for dataset in ROWS:
        put(space, "net", dataset)
        put(space, "net@layer-b.0", dataset, seed=1, dim=3)
        put(space, "net@layer-b.1", dataset, seed=2, dim=5)
    return space
