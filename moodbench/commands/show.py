"""All there is to say about one score, model, dataset or benchmark, as a plain record."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from moodbench.catalog import FEATURES_ONLY, BenchmarkSpec, DatasetSpec, ModelSpec
from moodbench.commands.list_ import benchmark_record, cached_datasets, dataset_record, score_record, views_by_model
from moodbench.errors import MoodbenchError, UnknownNameError
from moodbench.workspace import ModelName, Workspace, as_workspace

Record = dict[str, Any]


def show_score(name: str, workspace: Workspace | None = None) -> Record:
    """Return what `list_scores` says of a score, its year, what ``score --tune`` tries, its module and its description.

    Of an imported one: its files, with their digests.
    Which models have the layers and views that it reads is said of a `workspace`, where one is given.

    Raises
    ------
    UnknownNameError
    """
    from moodbench.commands.imported import imported_records
    from moodbench.scores.base import SCORES, UNDATED

    imported = imported_records(as_workspace(workspace))
    if name in imported and name not in SCORES:
        return imported[name] | {"files": _imported_files(as_workspace(workspace), name)}
    if name not in SCORES:
        raise UnknownNameError("score", name, [*SCORES, *imported])
    cls = SCORES.get(name)
    return score_record(name, None if workspace is None else views_by_model(workspace)) | {
        "year": None if cls.year == UNDATED else cls.year,
        "sweep": {key: list(values) for key, values in cls.sweep.items()},
        "module": cls.__module__,
        "description": inspect.getdoc(cls) or "",
    }


def _imported_files(space: Workspace, name: str) -> list[Record]:
    from moodbench.commands.imported import list_imported

    keys = ("model", "dataset", "rows", "source", "sha256", "orientation", "fault")
    return [{key: getattr(info, key) for key in keys} for info in list_imported(space, scores=name)]


def show_model(name: str, workspace: Workspace | None = None) -> Record:
    """Return all that is known of a model or variant: its entry, what it computes, its caches and results.

    Parameters
    ----------
    name : str
        A model of the catalogue, or one by where it is from (``timm:NAME``, ``hf:ORG/NAME``, …), with or without
        ``@VARIANT``, or another one that has caches.
    workspace : Workspace, optional

    Raises
    ------
    UnknownNameError
        Neither the catalogue nor the cache has a model of that name.
    ModelError
        timm has no such architecture.
    """
    from moodbench.commands.cache import list_caches
    from moodbench.features.imported import ROWS

    space = as_workspace(workspace)
    parsed = ModelName.parse(name)
    model = parsed.without_head
    try:
        entry = space.catalog.model(model.base)
    except UnknownNameError:
        if model not in space.cached_models():
            raise
        entry = None
    infos = list_caches(space, str(model)) if model in space.cached_models() else []
    caches = [{"dataset": i.dataset, "rows": i.rows, "dim": i.dim, "complete": i.complete} for i in infos]
    known = (
        _imported(infos[0].dim if infos else None, features=not infos or infos[0].source != ROWS)
        if entry is None
        else _entry(entry, model)
    )
    if model.view is not None:
        if not infos:
            raise UnknownNameError("cached model", str(model), map(str, space.cached_models()))
        known = known | {
            "dim": infos[0].dim,
            "head": "own" if infos[0].classes else "none",
            "view_of": str(model.whole),
        }
        known = known | _made_by(space, model, infos[0].dataset)
    return (
        {"name": str(model)}
        | known
        | {
            "cached": caches,
            "cached_variants": [str(m) for m in space.cached_models() if m.base == model.base and m != model],
            "heads": [file.stem for file in space.other_heads(model)],
            "imported_scores": space.imported_scores(model),
            "results": _scored_on(space, model),
        }
    )


def _made_by(space: Workspace, model: ModelName, dataset: str) -> Record:
    """Return the recipe of changed images with its parameters (`view`), and the layer, as far as a cache notes them."""
    from moodbench.features.cache import FeatureCache

    try:
        with FeatureCache(space.cache_file(model, dataset)) as cache:
            noted = cache.provenance
    except MoodbenchError:  # whose fault `cache list` tells
        return {}
    return {key: noted[key] for key in ("view", "layer") if noted.get(key) is not None}


def _imported(dim: int | None, *, features: bool = True) -> Record:
    weights = "cached features" if features else "none: it has imported scores alone"
    return {"title": None, "pretext": "unspecified", "weights": weights, "dim": dim}


def _entry(entry: ModelSpec, model: ModelName) -> Record:
    from moodbench.models.outline import outline
    from moodbench.models.records import model_record

    spec = entry.variant(model.variant)
    made = outline(spec)
    record = model_record(spec) | {"variants": list(entry.variants)}
    del record["name"]
    return record | {"dim": made["dim"], "pictures": made["transform"]}


def _scored_on(space: Workspace, model: ModelName) -> list[str]:
    """Return the benchmarks that the model has results on, with whatever head."""
    from moodbench.results import benchmarks_with_results

    return [
        benchmark
        for benchmark in benchmarks_with_results(space.results_dir)
        if model in (replace(ModelName.of_file(stem), head=None) for stem in _scored(space, benchmark))
    ]


def _scored(space: Workspace, benchmark: str) -> list[str]:
    from moodbench.results import result_files

    return [file.stem for file in result_files(space.results_dir / benchmark)]


def show_dataset(name: str, workspace: Workspace | None = None) -> Record:
    """Return what `list_datasets` says of a dataset, the benchmarks that use it and as what, and how to get it.

    Raises
    ------
    UnknownNameError
    """
    space = as_workspace(workspace)
    spec = space.catalog.dataset(name)
    space.check_data_dir()
    whole = space.catalog.whole_of(spec)
    sizes = [archive.bytes for archive in whole.archives]
    return dataset_record(spec, space, cached_datasets(space)) | {
        "download_bytes": sum(size for size in sizes if size) if sizes and None not in sizes else None,
        "benchmarks": {b.name: list(_roles(b, name)) for b in space.catalog.benchmarks.values() if name in b.datasets},
        "how_to_get": _how_to_get(spec),
        "steps": list(whole.steps),
    }


def _roles(benchmark: BenchmarkSpec, dataset: str) -> Iterable[str]:
    """Yield the roles that a dataset has in a benchmark."""
    if dataset == benchmark.id_train:
        yield "ID train"
    if dataset == benchmark.id_val:
        yield "ID validation"
    if dataset in benchmark.id_test:
        yield "ID test"
    yield from (f"OOD, {group}" for group, names in benchmark.ood.items() if dataset in names)
    if dataset in benchmark.ood_val:
        yield "OOD validation"


def _how_to_get(spec: DatasetSpec) -> str:
    if spec.bundled is not None:
        return "comes with moodbench"
    if spec.source == FEATURES_ONLY:
        return f"moodbench import --model M --dataset {spec.name} FILE"
    if spec.source == "folder":
        return f"put the images into {spec.path or spec.folder}"
    return f"moodbench download {spec.name}"


def show_benchmark(name: str, workspace: Workspace | None = None) -> Record:
    """Return what a benchmark is made of, what of it is on this disk, and who can be or has been scored on it.

    Raises
    ------
    UnknownNameError
    """
    from moodbench.inspection.state import disk_state

    space = as_workspace(workspace)
    spec = space.catalog.benchmark(name)
    space.check_data_dir()
    datasets = [space.catalog.dataset(one) for one in spec.datasets]
    states = {one.name: disk_state(one, space.catalog, space.data_dir) for one in datasets}
    return benchmark_record(spec, cached_datasets(space)) | {
        "id_val": spec.id_val,
        "ood_val": list(spec.ood_val),
        "protocol": spec.protocol,
        "classes": list(spec.classes),
        "each": dict(spec.each),
        "restrict_logits": spec.restrict_logits,
        "note": spec.note,
        "datasets": [
            {
                "name": one.name,
                "roles": list(_roles(spec, one.name)),
                "images": one.images,
                "source": one.source,
                "state": states[one.name].word,
                "licence": one.licence,
            }
            for one in datasets
        ],
        "results": sorted(str(ModelName.of_file(stem)) for stem in _scored(space, name)),
    }
