"""What there is: models, datasets, benchmarks and scores, and what of it is on this disk, as plain records."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from moodbench.catalog import ArchiveSpec, DatasetSpec, ListSpec
from moodbench.catalog.entry import UNKNOWN
from moodbench.workspace import ModelName, Workspace

Record = dict[str, Any]


def list_models(space: Workspace) -> list[Record]:
    """Return every model of the catalogue, and every other one that has caches (variants, imported features).

    `on_disk` says whether everything that the model is loaded from is here; `bytes` is the size of its weights where
    that is known. Nothing is read or checked.
    """
    from moodbench.models.records import model_record

    cached = {str(name): space.cached_datasets(name) for name in space.cached_models()}
    records = [model_record(spec) | {"cached": cached.pop(name, [])} for name, spec in space.catalog.models.items()]
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


def list_fair(space: Workspace) -> list[Record]:
    """Return groups of models that have seen the same (labels, data, pairs with text) and are of one size.

    Models come with those of their declared variants that have other weights or another head. First are the groups in
    which most pretext tasks can be compared.
    """
    from moodbench.models.records import fair_groups

    return fair_groups(space.catalog.models)


def list_datasets(space: Workspace) -> list[Record]:
    """Return every dataset of the catalogue: what it is, in what state it is on this disk, and where it came from.

    Looks at notes and names, never at images; `images_here` and `bytes` are those of the last verification or download.
    """
    from moodbench.datasets.images import dataset_folder, is_on_disk

    space.check_data_dir()
    cached = {str(name): space.cached_datasets(name) for name in space.cached_models()}
    records = []
    for name, spec in space.catalog.datasets.items():
        folder = dataset_folder(spec, space.data_dir)
        records.append(
            {
                "name": name,
                "title": spec.title,
                "role": spec.role,
                "source": spec.source,
                "images": spec.images,
                "labels": str(spec.labels),
                "on_disk": is_on_disk(spec, space.data_dir),
                **_on_disk(spec, space),
                "folder": None if folder is None else str(folder),
                "part_of": spec.part_of,
                "within": spec.within,
                "layout": spec.layout if spec.archives else None,
                "include": list(spec.include),
                "archives": [_archive(archive) for archive in spec.archives],
                "per_image": spec.per_image,
                "generated": spec.generated,
                "licence": spec.licence,
                "homepage": spec.homepage,
                "paper": spec.paper,
                "steps": list(spec.steps),
                "problems": list(spec.problems),
                "cached_by": [model for model, datasets in cached.items() if name in datasets],
            }
        )
    return records


def _on_disk(spec: DatasetSpec, space: Workspace) -> Record:
    from moodbench.inspection.state import disk_state

    state = disk_state(spec, space.catalog, space.data_dir)
    return {
        "state": state.word,
        "verified": state.since,
        "findings": dict(state.findings or {}),
        "images_here": state.images,
        "bytes": state.bytes,
        "origin": None if state.origin is None else asdict(state.origin),
        "list": None if spec.image_list is None else {"state": state.list, **_list(spec.image_list)},
        "note_problem": state.problem,
    }


def _archive(archive: ArchiveSpec) -> Record:
    return {
        "file": archive.file,
        "urls": list(archive.urls),
        "take": archive.take,
        "into": archive.into,
        "max_files": archive.max_files,
        "max_bytes": archive.max_bytes,
        "bytes": archive.bytes or UNKNOWN,
        "md5": archive.md5 or UNKNOWN,
        "sha256": archive.sha256 or UNKNOWN,
    }


def _list(image_list: ListSpec) -> Record:
    fetched = None if image_list.url is None else UNKNOWN
    digests = {"sha256": image_list.sha256 or fetched, "git_blob": image_list.git_blob}
    place = {"path": None if image_list.path is None else str(image_list.path), "url": image_list.url}
    rules = {key: getattr(image_list, key) for key in ("lines", "column", "only", "strip", "add", "match")}
    return {"file": image_list.file, **place, **digests, **rules}


def list_benchmarks(space: Workspace) -> list[Record]:
    """Return every benchmark: its datasets by role, and which models can be scored on it now."""
    cached = {str(name): set(space.cached_datasets(name)) for name in space.cached_models()}
    records = []
    for name, spec in space.catalog.benchmarks.items():
        records.append(
            {
                "name": name,
                "title": spec.title,
                "id_train": spec.id_train,
                "id_test": list(spec.id_test),
                "ood": {group: list(names) for group, names in spec.ood.items()},
                "paper": spec.paper,
                "models_ready": [model for model, datasets in cached.items() if spec.can_be_scored(datasets)],
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
