"""Numbers that depend on rounding, or on how labels are numbered: saturated logits, and a label of 999,999."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.faults.trial import Row, attempt
from moodbench.catalog import BenchmarkSpec
from moodbench.commands.import_ import import_features
from moodbench.evaluation.caches import open_caches
from moodbench.evaluation.run import score_caches
from moodbench.scores.base import SCORES, create_score
from moodbench.workspace import ModelName, Workspace

SPEC = BenchmarkSpec("numbers", "numbers", "train", ("test",), {"far": ("ood",)})
DIM = 768


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Hold every score against its definition, and every score of classes under a label of 999,999 against one of 9."""
    torch.set_num_threads(1)  # a fork has none of its parent's threads
    yield _saturated()
    yield _large_label(folder, seed)


def _saturated() -> Row:
    """Every score in every world of `tests.parity.hard_worlds`, row by row against its plain definition."""
    row = Row(
        "saturated logits of 2, 5 and 10 classes, features of scale 1e-3 to 1e3: scores against their definitions"
    )
    battery = importlib.import_module("tests.parity.differences")
    for name in sorted(battery.CASES):
        outcome = attempt(partial(battery.differences, name))
        row.count(outcome, right=outcome.value == {}, case=f"{name} {outcome.value}")
    return row


def _large_label(folder: Path, seed: int) -> Row:
    row = Row("one label of 999,999 in 300 rows: scores of classes")
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 300)
    centres = rng.normal(size=(5, DIM))
    features = {
        "train": centres[labels] + rng.normal(size=(300, DIM)),
        "test": centres[rng.integers(0, 5, 100)] + rng.normal(size=(100, DIM)),
        "ood": rng.normal(size=(100, DIM)),
    }
    caches = {
        number: _caches(folder / str(number), features, np.where(labels == 4, number, labels))
        for number in (9, 999_999)
    }
    for name in SCORES.names():
        if "labels" in SCORES.get(name).needs:
            values = [attempt(partial(_values, caches[number], name)) for number in caches]
            right = values[0].ending == "done" and values[0].value == values[1].value
            row.count(values[1], right=right, case=name)
    return row


def _caches(folder: Path, features: Mapping[str, Any], labels: Any) -> Workspace:
    folder.mkdir()
    space = Workspace(folder / "data", folder / "cache", folder / "results")
    for name, x in features.items():
        known = {"labels": labels} if name == "train" else {}
        np.savez(folder / f"{name}.npz", features=x.astype(np.float32), **known)
        import_features("net", name, folder / f"{name}.npz", workspace=space)
    return space


def _values(space: Workspace, name: str) -> list[object]:
    model = ModelName("net")
    files = {dataset: space.cache_file(model, dataset) for dataset in ("train", "test", "ood")}
    caches = open_caches(files, SPEC, space.head_file(model), own_head=True)
    scored = score_caches(SPEC, caches, {name: create_score(name)}, threads=1)
    return [array.tolist() for array in scored.values.values()] + [(row.auroc, row.fpr95) for row in scored.rows]
