"""What there is: models, datasets, benchmarks and scores, and what of it is on this disk, as plain records."""

from __future__ import annotations

from typing import Any

from moodbench.workspace import ModelName, Workspace

Record = dict[str, Any]


def list_models(space: Workspace) -> list[Record]:
    """Return every model of the catalogue, and every other one that has caches (imported features)."""
    records = []
    cached = {str(name): space.cached_datasets(name) for name in space.cached_models()}
    for name, spec in space.catalog.models.items():
        weights = "embedded" if spec.checkpoint is not None else "address" if spec.url is not None else "timm hub"
        records.append(
            {
                "name": name,
                "title": spec.title,
                "pretext": spec.pretext,
                "method": spec.method,
                "timm": spec.timm,
                "head": spec.head.kind,
                "transform": spec.transform,
                "weights": weights,
                "data": spec.data,
                "labels_seen": spec.labels_seen,
                "top1": spec.top1,
                "licence": spec.licence,
                "paper": spec.paper,
                "cached": cached.pop(name, []),
            }
        )
    for name, datasets in cached.items():
        base = space.catalog.models.get(ModelName.parse(name).base)
        records.append(
            {
                "name": name,
                "title": base.title if base else name,
                "pretext": base.pretext if base else "unspecified",
                "weights": "cached features",
                "cached": datasets,
            }
        )
    return records


def list_datasets(space: Workspace) -> list[Record]:
    """Return every dataset of the catalogue, where its images are, and which models have features of it."""
    from moodbench.datasets.images import dataset_folder, is_on_disk

    cached = {str(name): space.cached_datasets(name) for name in space.cached_models()}
    records = []
    for name, spec in space.catalog.datasets.items():
        folder = dataset_folder(spec, space.data_dir)
        records.append(
            {
                "name": name,
                "title": spec.title,
                "source": spec.source,
                "images": spec.images,
                "on_disk": is_on_disk(spec, space.data_dir),
                "folder": None if folder is None else str(folder),
                "licence": spec.licence,
                "homepage": spec.homepage,
                "paper": spec.paper,
                "steps": list(spec.steps),
                "cached_by": [model for model, datasets in cached.items() if name in datasets],
            }
        )
    return records


def list_benchmarks(space: Workspace) -> list[Record]:
    """Return every benchmark: its datasets by role, and which models can be scored on it now."""
    cached = {str(name): set(space.cached_datasets(name)) for name in space.cached_models()}
    records = []
    for name, spec in space.catalog.benchmarks.items():
        ready = [
            model
            for model, datasets in cached.items()
            if {spec.id_train, *spec.id_test} <= datasets and datasets & set(spec.ood_datasets)
        ]
        records.append(
            {
                "name": name,
                "title": spec.title,
                "id_train": spec.id_train,
                "id_test": list(spec.id_test),
                "ood": {group: list(names) for group, names in spec.ood.items()},
                "paper": spec.paper,
                "models_ready": ready,
            }
        )
    return records


def list_scores() -> list[Record]:
    """Return every registered score: family, what it needs besides features, parameters with defaults, paper."""
    from moodbench.scores.base import SCORES, display_order

    return [
        {
            "name": name,
            "title": cls.title,
            "family": cls.family,
            "needs": sorted(cls.needs),
            "assumes": "post-ReLU features" if cls.post_relu else None,
            "cost": cls.cost,
            "params": cls.parameters(),
            "paper": cls.paper,
            "note": cls.note,
        }
        for name, cls in ((name, SCORES.get(name)) for name in display_order(SCORES))
    ]
