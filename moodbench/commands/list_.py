"""What there is: models, datasets, benchmarks and scores, and what of it is on this disk, as plain records."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from moodbench.arguments import as_names
from moodbench.catalog import ArchiveSpec, BenchmarkSpec, DatasetSpec, ListSpec
from moodbench.catalog.entry import UNKNOWN
from moodbench.choices import Needs, PretextTask, check_choices, wrong_choice
from moodbench.tables.notebooks import Records
from moodbench.types import Family
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.scores.base import Score

Record = dict[str, Any]


def list_models(
    space: Workspace, text: str = "", *, pretext: str | Sequence[str] = (), cached: bool = False
) -> Records[Record]:
    """Return every model of the catalogue, and every other one that has caches (variants, imported features).

    `on_disk` says whether everything that the model is loaded from is here; `bytes` is the size of its weights where
    that is known. Nothing is read or checked.

    Parameters
    ----------
    space : Workspace
    text : str
        Only those that have it in their name or title, in whatever case.
    pretext : str or sequence of str
        Only those of these pretext tasks: of `moodbench.choices.PretextTask`, or one that a model of the catalogue has.
    cached : bool
        Only those that have caches.

    Returns
    -------
    list of dict
        Layers and other views of a model that has caches are in its `views`, and have no record of their own.
    """
    from moodbench.models.records import model_record

    chosen = check_pretexts("pretext", pretext, space)
    views: dict[str, list[str]] = {}
    there: dict[str, list[str]] = {}
    for one in space.cached_models():
        if one.view is None:
            there[str(one)] = space.cached_datasets(one)
        else:
            views.setdefault(str(one.whole), []).append(str(one))
    # a view whose model has no caches any more is shown as a model of its own
    alone = [name for whole in views if whole not in there for name in views[whole]]
    there |= {name: space.cached_datasets(ModelName.parse(name)) for name in alone}
    records = [model_record(spec) | {"cached": there.pop(name, [])} for name, spec in space.catalog.models.items()]
    for name, datasets in there.items():
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
    records = [record | {"views": views.get(record["name"], []) if record["cached"] else []} for record in records]
    return Records(
        record
        for record in records
        if has(record, text) and (not chosen or record["pretext"] in chosen) and (record["cached"] or not cached)
    )


def list_fair(space: Workspace, text: str = "", *, pretext: str | Sequence[str] = ()) -> Records[Record]:
    """Return groups of models that have seen the same (labels, data, pairs with text) and are of one size.

    Models come with those of their declared variants that have other weights or another head. First are the groups in
    which most pretext tasks can be compared. `text` and `pretext` choose among the models, as in `list_models`.
    """
    from moodbench.models.records import fair_groups

    chosen = check_pretexts("pretext", pretext, space)
    groups = fair_groups(
        {
            name: spec
            for name, spec in space.catalog.models.items()
            if has({"name": name, "title": spec.title}, text) and (not chosen or spec.pretext in chosen)
        }
    )
    return Records(groups)


def has(record: Mapping[str, Any], text: str) -> bool:
    """Say whether a text stands in the name or title, in whatever case."""
    return any(text.casefold() in record[key].casefold() for key in ("name", "title"))


def check_pretexts(name: str, given: str | Sequence[str], space: Workspace) -> tuple[str, ...]:
    """Return the pretext tasks that are given; one that neither moodbench nor the catalogue knows is a `UsageError`."""
    words = as_names(given)
    known = (*get_args(PretextTask), *(spec.pretext for spec in space.catalog.models.values()))
    for word in words:
        if word not in known:
            raise wrong_choice(name, word, tuple(dict.fromkeys(known)))
    return words


def _choices(name: str, given: str | Sequence[str], choice: Any) -> tuple[str, ...]:
    """Return the words of a choice that are given; another one is a `UsageError`."""
    words = as_names(given)
    check_choices(name, words, choice)
    return words


def list_datasets(
    space: Workspace, text: str = "", *, benchmark: str | Sequence[str] = (), present: bool | None = None
) -> Records[Record]:
    """Return every dataset of the catalogue: what it is, in what state it is on this disk, and where it came from.

    Looks at notes and names, never at images; `images_here` and `bytes` are those of the last verification or download.

    Parameters
    ----------
    space : Workspace
    text : str
        Only those that have it in their name or title, in whatever case.
    benchmark : str or sequence of str
        Only those that these benchmarks name.
    present : bool, optional
        Only those that are on this disk, or only those that are not.

    Raises
    ------
    UnknownNameError
        There is no such benchmark.
    """
    from moodbench.datasets.images import is_on_disk

    space.check_data_dir()
    of = {name for one in as_names(benchmark) for name in space.catalog.benchmark(one).datasets}
    cached = cached_datasets(space)
    return Records(
        dataset_record(spec, space, cached)
        for spec in space.catalog.datasets.values()
        if has({"name": spec.name, "title": spec.title}, text)
        and (not benchmark or spec.name in of)
        and present in (None, is_on_disk(spec, space.data_dir))
    )


def cached_datasets(space: Workspace) -> dict[str, set[str]]:
    """Return the datasets that every model has caches of."""
    return {str(name): set(space.cached_datasets(name)) for name in space.cached_models()}


def dataset_record(spec: DatasetSpec, space: Workspace, cached: Mapping[str, Collection[str]]) -> Record:
    """Return all that is known of a dataset. `cached`: which datasets every model has caches of."""
    from moodbench.datasets.images import dataset_folder, is_on_disk

    folder = dataset_folder(spec, space.data_dir)
    return {
        "name": spec.name,
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
        "cached_by": [model for model, datasets in cached.items() if spec.name in datasets],
    }


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


def list_benchmarks(space: Workspace, text: str = "", *, dataset: str | Sequence[str] = ()) -> Records[Record]:
    """Return every benchmark: its datasets by role, and which models can be scored on it now.

    Parameters
    ----------
    space : Workspace
    text : str
        Only those that have it in their name or title, in whatever case.
    dataset : str or sequence of str
        Only those that use one of these datasets.

    Raises
    ------
    UnknownNameError
        There is no such dataset.
    """
    wanted = {space.catalog.dataset(name).name for name in as_names(dataset)}
    cached = cached_datasets(space)
    return Records(
        benchmark_record(spec, cached)
        for spec in space.catalog.benchmarks.values()
        if has({"name": spec.name, "title": spec.title}, text) and (not wanted or wanted & set(spec.datasets))
    )


def benchmark_record(spec: BenchmarkSpec, cached: Mapping[str, Collection[str]]) -> Record:
    """Return what a benchmark is made of. `cached`: which datasets every model has caches of."""
    return {
        "name": spec.name,
        "title": spec.title,
        "id_train": spec.id_train,
        "id_test": list(spec.id_test),
        "ood": {group: list(names) for group, names in spec.ood.items()},
        "paper": spec.paper,
        "models_ready": [model for model, datasets in cached.items() if spec.can_be_scored(datasets)],
    }


def list_scores(
    text: str = "",
    *,
    family: str | Sequence[str] = (),
    needs: str | Sequence[str] = (),
    workspace: Workspace | None = None,
) -> Records[Record]:
    """Return every registered score: family, what it needs besides features, parameters with defaults, paper.

    Behind them stand those that were imported into a workspace.

    Parameters
    ----------
    text : str
        Only those that have it in their name or title, in whatever case.
    family : str or sequence of str
        Only those of these families (`moodbench.types.Family`).
    needs : str or sequence of str
        Only those that need one of these besides features (`moodbench.choices.Needs`).
    workspace : Workspace, optional
        Whose models have the layers and views that scores read (`views`); without one that is not said.
    """
    from moodbench.scores.base import SCORES, display_order

    families, wanted = _choices("family", family, Family), _choices("needs", needs, Needs)
    cached = None if workspace is None else views_by_model(workspace)
    records = [score_record(name, cached) for name in display_order(SCORES)]
    if workspace is not None:
        from moodbench.commands.imported import imported_records

        records += [record for name, record in imported_records(workspace).items() if name not in SCORES]
    return Records(
        record
        for record in records
        if has(record, text)
        and (not families or record["family"] in families)
        and (not wanted or set(wanted) & set(record["needs"] or ["nothing"]))
    )


def views_by_model(space: Workspace) -> dict[str, list[str]]:
    """Return the cached views of every model that has some, as scores name them; layers first."""
    found: dict[str, list[str]] = {}
    for one in space.cached_models():
        if one.view is not None:
            found.setdefault(str(one.whole), []).append(one.view)
    return found


def score_record(name: str, cached: Mapping[str, Sequence[str]] | None = None) -> Record:
    """Return what a registered score says of itself.

    `views` is None where it reads one vector of an image. Else it says how what it reads with the usual parameters is
    made, and which models have it, out of the views that are `cached` of each (None: not looked for).
    """
    from moodbench.scores.base import SCORES

    cls = SCORES.get(name)
    return {
        "name": name,
        "title": cls.title,
        "family": cls.family,
        "needs": sorted(cls.needs),
        "assumes": "post-ReLU features" if cls.post_relu else None,
        "cost": cls.cost,
        "params": cls.parameters(),
        "views": _views_read(cls(), cached) if cls.needs & {"layers", "views"} else None,
        "paper": cls.paper,
        "note": cls.note,
    }


def _views_read(score: Score, cached: Mapping[str, Sequence[str]] | None) -> Record:
    from moodbench.errors import ScoreError

    models: list[str] | None = None if cached is None else []
    for model, views in (cached or {}).items():
        with contextlib.suppress(ScoreError):  # what it reads is not there
            if score.views_among(views) and models is not None:
                models.append(model)
    return {"made_by": getattr(score, "made_by", None), "cached_of": models}
