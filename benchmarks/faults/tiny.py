"""A model with a head and a benchmark of three small datasets, made of random numbers: scored in a moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml

from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.results import row_scores_file
from moodbench.workspace import ModelName, Workspace

BENCHMARK, MODEL = "b", "net"
DATASETS = {"train": 60, "test": 24, "far": 18}
CLASSES, DIM = 3, 6


def make(folder: Path, seed: int) -> Workspace:
    """Write arrays, head and catalogue, and import them."""
    torch.set_num_threads(1)  # children are forked: a pool of threads would not be there for them
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    centres = rng.normal(0, 2, (CLASSES, DIM))
    for name, rows in DATASETS.items():
        labels = np.arange(rows) % CLASSES
        features = (rng.normal(0, 1, (rows, DIM)) + (centres[labels] if name != "far" else 1)).astype(np.float32)
        arrays = {"features": features} if name == "far" else {"features": features, "labels": labels}
        np.savez(folder / f"{name}.npz", **arrays)
    np.savez(folder / "head.npz", weight=centres.astype(np.float32), bias=np.zeros(CLASSES, np.float32))
    entry = {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}}
    catalog = {"datasets": {name: {"title": name} for name in DATASETS}, "benchmarks": {BENCHMARK: entry}}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = workspace(folder)
    for name in DATASETS:
        put(space, name)
    run(space, "knn")  # children are forked with everything imported
    shutil.rmtree(space.results_dir)
    return space


def workspace(folder: Path) -> Workspace:
    """Return the workspace in a folder that `make` filled, or in a copy of it."""
    return Workspace(folder / "data", folder / "cache", folder / "results", (folder / "catalog.yaml",))


def copy(space: Workspace, folder: Path) -> Workspace:
    """Return a workspace in a copy of everything."""
    shutil.copytree(home(space), folder)
    return workspace(folder)


def home(space: Workspace) -> Path:
    """Return the folder of a workspace."""
    return space.cache_dir.parent


def put(space: Workspace, dataset: str, *, model: str = MODEL, head: str = "head.npz") -> None:
    """Import one dataset with the head."""
    import_features(model, dataset, home(space) / f"{dataset}.npz", head=home(space) / head, workspace=space)


def run(space: Workspace, *scores: str, save: bool = True) -> None:
    """Score the model."""
    score(score=scores, benchmark=[BENCHMARK], device="cpu", threads=1, save_scores=save, workspace=space)


def results(space: Workspace) -> Path:
    """Return the result file."""
    return space.results_file(BENCHMARK, ModelName(MODEL))


def written(space: Workspace) -> dict[str, bytes]:
    """Return the bytes of the results, their provenance and the row scores, of those that are there."""
    file = results(space)
    files = (file, file.with_suffix(".json"), row_scores_file(file))
    return {one.name: one.read_bytes() for one in files if one.exists()}


def left_over(space: Workspace) -> list[str]:
    """Return the temporary files of the workspace. The locks of caches and the notes of checks stay, and are none."""
    names = (name for _, _, names in os.walk(home(space)) for name in names)
    return sorted(name for name in names if name.startswith(".") and not name.endswith((".h5.lock", ".checked.json")))
