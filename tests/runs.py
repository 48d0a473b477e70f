"""Results as `score` writes them, of caches that hold a few numbers: without scoring anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moodbench.commands.import_ import import_features
from moodbench.features.cache import FeatureCache
from moodbench.results import write_results
from moodbench.types import MEAN, Result
from moodbench.workspace import ModelName, Workspace

ROLES = {"id_train": "train", "id_val": None, "id_test": ["test"], "ood": {"near": ["near"], "far": ["far", "sea"]}}
GROUPS = {"near": "near", "far": "far", "sea": "far"}
VERSIONS = {"numpy": "2.0", "torch": "2.5"}


def cached(space: Workspace, model: str, dataset: str, seed: int = 0) -> None:
    """Put features of three pictures among the caches, in place of those that are there."""
    file = space.cache_dir.parent / f"{model}_{dataset}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, features=np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32))
    space.cache_file(ModelName.parse(model), dataset).unlink(missing_ok=True)
    import_features(model, dataset, file, workspace=space)


def row(model="vit", score="msp", ood="near", auroc=0.9, **more) -> Result:
    """Return one row on the benchmark ``b``; its group is that of its dataset."""
    values = {"params": "", "family": "probability", "n_id": 3, "n_ood": 3, "fpr95": 0.25} | more
    group = values.pop("group", "all" if ood == MEAN else GROUPS[ood])
    return Result("b", model, "classification", score=score, ood=ood, group=group, auroc=auroc, **values)


def rows_of(model="vit", scores=("msp", "vim"), oods=tuple(GROUPS), auroc=0.9, **more) -> list[Result]:
    """Return a row of each score on each dataset, and where all are there the means."""
    found = [row(model, score, ood, auroc, **more) for score in scores for ood in oods]
    if set(oods) == set(GROUPS):
        found += [row(model, score, MEAN, auroc, **more) for score in scores]
        found += [row(model, score, MEAN, auroc, group="far", **more) for score in scores]
    return found


def provenance(rows, contents=None, **more):
    """Return what is noted beside some rows; `contents`: digests of caches, by default the names of the datasets."""
    used = [*{row.ood for row in rows} - {MEAN}, "train", "test"] if contents is None else contents
    contents = {name: f"digest of {name}" for name in used} if contents is None else contents
    datasets = {name: {"contents": digest, "rows": 3, "skipped": 0} for name, digest in contents.items()}
    return {
        "moodbench": "0.1.0",
        "benchmark": "b",
        "model": rows[0].model,
        "inputs": {"benchmark": ROLES, "contents": contents},
        "classes": None,
        "datasets": datasets,
        "versions": VERSIONS,
        "scores": {row.score: {"title": row.score.upper(), "paper": "", "year": 2020} for row in rows},
        **more,
    }


def put(folder: Path, rows, **more) -> Path:
    """Write the results of one model into a folder of results, and return the file."""
    name = ModelName.parse(rows[0].model)
    file = Workspace(results_dir=folder).results_file("b", name)
    write_results(file, rows, provenance(rows, **more))
    return file


def fingerprint(space: Workspace, model: str, dataset: str) -> str:
    """Return what a cache holds, as results note it."""
    with FeatureCache(space.cache_file(ModelName.parse(model), dataset)) as cache:
        return cache.fingerprint
