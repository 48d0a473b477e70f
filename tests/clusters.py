"""A Ray cluster of two processes for the tests that need one, and a small world as caches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from moodbench import cluster as module
from moodbench.catalog import BenchmarkSpec
from moodbench.cluster import Cluster, cluster
from moodbench.commands.import_ import import_features
from moodbench.evaluation.caches import Caches, open_caches
from moodbench.features.reader import RowReader
from moodbench.workspace import ModelName, Workspace
from tests.texts import texts_of
from tests.views import views_of
from tests.worlds import World

SPEC = BenchmarkSpec("b", "b", "train", ("test",), {"far": ("ood",)})
STORE = 100 << 20


def two_workers() -> Iterator[Cluster]:
    """Yield a cluster with a small object store; the tests of a process share it."""
    before, module.STORE = module.STORE, STORE
    try:
        with cluster(workers=2) as there:
            yield there
    finally:
        module.STORE = before


def space_of(folder: Path, world: World) -> Workspace:
    """Import a world's rows as those of the model ``net``, with its head and class labels of ID train."""
    space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "c.yaml",))
    (folder / "c.yaml").write_text(CATALOG)
    np.savez(folder / "head.npz", weight=world.weight, bias=world.bias)
    for name, x in {"train": world.train, **world.tests}.items():
        np.savez(folder / f"{name}.npz", features=x, **({"labels": world.labels} if name == "train" else {}))
        import_features("net", name, folder / f"{name}.npz", head=folder / "head.npz", workspace=space)
    return space


CATALOG = """
datasets:
  train: {title: Train, role: ID train, folder: train, labels: none, images: 400}
  test: {title: Test, role: ID test, folder: test, labels: none, images: 200}
  ood: {title: Ood, role: far-OOD, folder: ood, labels: none, images: 200}
benchmarks:
  b: {title: B, id_train: train, id_test: test, ood: {far: [ood]}}
"""


def caches_of(space: Workspace) -> Caches:
    """Open the caches of ``net``."""
    model = ModelName("net")
    files = {name: space.cache_file(model, name) for name in ("train", "test", "ood")}
    return open_caches(files, SPEC, space.head_file(model), own_head=True)


def with_everything(folder: Path, space: Workspace, world: World) -> Caches:
    """Return the same with all that scores may read besides: layers, changed images, other runs, texts of the head."""
    caches = caches_of(space)
    assert caches.head is not None
    rows = {"train": world.train, **world.tests}
    beside: dict[str, dict[str, RowReader]] = {name: {} for name in rows}
    for dataset, x in rows.items():
        for number, (view, values) in enumerate(views_of(x).items()):
            np.savez(folder / "view.npz", features=values)
            import_features(f"side{number}", dataset, folder / "view.npz", workspace=space)
            beside[dataset][view] = RowReader(space.cache_file(ModelName(f"side{number}"), dataset))
    names = tuple(beside["train"])
    return replace(
        caches,
        head=replace(caches.head, texts=texts_of(caches.head.weight)),
        train=caches.train.beside(beside["train"]),
        test={"test": caches.test["test"].beside(beside["test"])},
        ood={"ood": caches.ood["ood"].beside(beside["ood"])},
        cached_views=names,
        fitted_views=names,
    )
