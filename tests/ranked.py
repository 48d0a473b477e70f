"""Two models with caches and row scores, so that they can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.workspace import Workspace

SIZES = {"train": 120, "test": 60, "near": 40, "far": 50}
SCORES = ("euclid", "knn")


def put(space, model, dataset, *, noise=0.0, order=None, ids=None, seed=0) -> None:
    """Import features of a dataset for a model; equal seeds give equal images, with noise on top."""
    rng = np.random.default_rng([seed, SIZES[dataset]])
    labels = np.arange(SIZES[dataset]) % 3
    directions = 4 * np.eye(5)
    centres = {"near": directions[3:4] / 2 + directions[:1] / 2, "far": directions[4:]}.get(dataset)
    features = rng.normal(size=(len(labels), 5)) + (directions[labels] if centres is None else centres)
    features = (features + noise * rng.normal(size=features.shape)).astype(np.float32)
    order = np.arange(len(labels)) if order is None else order
    names = np.array(ids or [f"{dataset}/{i}.png" for i in range(len(labels))])
    known = {"labels": labels[order]} if dataset in ("train", "test") else {}
    file = space.cache_dir.parent / f"{model}_{dataset}.npz"
    np.savez(file, features=features[order], ids=names[order], **known)
    import_features(model, dataset, file, workspace=space)


def run(space, *models, benchmark="b", scores=SCORES, **how) -> None:
    """Score models on a benchmark."""
    score(score=scores, model=models, benchmark=benchmark, device="cpu", workspace=space, **how)


def make_space(tmp_path: Path) -> Workspace:
    """Return a workspace with the models plain and noisy, which are extracted and not yet scored."""
    roles = {"id_train": "train", "id_test": "test"}
    benchmarks = {
        "b": {**roles, "ood": {"near": ["near"], "far": ["far"]}},
        "other": {**roles, "ood": {"far": ["far"]}},
        "each": {**roles, "ood": {"others": ["test"]}, "classes": {"ant": 0, "bee": 1}},
    }
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"datasets": {n: {"title": n} for n in SIZES}, "benchmarks": benchmarks}))
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    for name in SIZES:
        put(space, "plain", name)
        put(space, "noisy", name, noise=4.0)
    return space
