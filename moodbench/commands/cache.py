"""Looks after the caches of a workspace: what is there, is it intact, away with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moodbench.arguments import as_names
from moodbench.commands.imported import list_imported
from moodbench.detection.checked import check_fitted
from moodbench.errors import CacheError, MoodbenchError, refuse_unknown
from moodbench.features.cache import PENDING, SKIPPED, FeatureCache
from moodbench.features.heads import is_left_over, stored_head
from moodbench.features.imported import has_features, read_imported
from moodbench.features.lock import exclusive
from moodbench.features.rates import RATES
from moodbench.features.rowscores import KEPT, read_row_scores
from moodbench.features.shards.leave import refuse_if_filled, remove_shards
from moodbench.features.shards.state import begun, bytes_on_disk
from moodbench.features.shards.unjoined import check_unfinished, is_unfinished, plan_of
from moodbench.features.times import times_file
from moodbench.features.verify import NOTES, check_cache
from moodbench.shard_names import shards_folder
from moodbench.sizes import many
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace


@dataclass(frozen=True)
class CacheInfo:
    """One cache, or why it cannot be read (`fault`).

    `shards` are those that its rows lie in, None where they are in `file` itself, and `shards_done` the complete ones:
    before all are, there is no `file` yet.
    """

    model: str
    dataset: str
    file: Path
    bytes: int
    rows: int | None = None
    done: int | None = None
    skipped: int | None = None
    dim: int | None = None
    classes: int | None = None
    complete: bool = False
    limit: int | None = None
    source: str | None = None
    shards: int | None = None
    shards_done: int | None = None
    fault: str | None = None


def list_caches(
    space: Workspace, models: str | Sequence[str] = (), datasets: str | Sequence[str] = ()
) -> list[CacheInfo]:
    """Return every cache of the workspace, or those of some models and datasets, sorted by model and dataset.

    Raises
    ------
    UnknownNameError
        A model or dataset that is named has no cache.
    """
    models, datasets = as_names(models), as_names(datasets)
    found = list(_files(space))
    refuse_unknown("cached model", models, {str(model) for model, _, _ in found})
    refuse_unknown(
        "cached dataset", datasets, {dataset for model, dataset, _ in found if not models or str(model) in models}
    )
    infos = (
        _inspect(str(model), dataset, file)
        for model, dataset, file in found
        if (not models or str(model) in models) and (not datasets or dataset in datasets)
    )
    return [info for info in infos if info is not None]


@dataclass(frozen=True)
class CheckedFile:
    """A file that was read and compared with its checksums.

    Attributes
    ----------
    name : str
        ``MODEL/DATASET``, ``MODEL/head``, ``MODEL/heads/NAME``, ``MODEL/scores/BENCHMARK``,
        ``MODEL/detectors/BENCHMARK/SCORE`` or ``MODEL/imported/SCORE/DATASET``.
    what : str
        The same for people, and how much was found.
    fault : MoodbenchError or None
    """

    name: str
    what: str
    fault: MoodbenchError | None


def verify_caches(
    space: Workspace, models: str | Sequence[str] = (), datasets: str | Sequence[str] = ()
) -> Iterator[CheckedFile]:
    """Read every byte of the caches, and of the heads, row scores and detectors of their models.

    An incomplete cache is a fault.

    Unless some datasets are named, heads and row scores of models without caches are read too.
    """
    models, datasets = as_names(models), as_names(datasets)
    orphans = [] if datasets else _orphans(space)
    named = [model for model in models if model not in orphans]
    infos = [] if models and not named else list_caches(space, named, datasets)
    for info in infos:
        what = f"{info.model} on {info.dataset}: {many(info.rows, 'row')}"
        yield CheckedFile(f"{info.model}/{info.dataset}", what, _fault(partial(_verify, info)))
    for model in dict.fromkeys(info.model for info in infos):
        yield from _besides(space, model, "")
    for model in orphans:
        if not models or model in models:
            yield from _besides(space, model, " (without caches)")


def _besides(space: Workspace, model: str, remark: str) -> Iterator[CheckedFile]:
    parsed = ModelName.parse(model)
    own = space.head_file(parsed)
    for file in [*([own] if own.exists() else []), *space.other_heads(parsed)]:
        name = file.relative_to(own.parent).with_suffix("")
        yield CheckedFile(f"{model}/{name}", f"{model}: {name}{remark}", _fault(partial(stored_head, file)))
    for file in space.kept_scores(parsed):
        name = file.relative_to(own.parent).with_suffix("")
        check = partial(read_row_scores, file, KEPT)
        yield CheckedFile(f"{model}/{name}", f"{model}: row {name}{remark}", _fault(check))
    for info in list_imported(space, model):
        name = info.file.relative_to(own.parent).with_suffix("")
        yield CheckedFile(f"{model}/{name}", f"{model}: {name}{remark}", _fault(partial(read_imported, info.file)))
    for file in space.detectors(parsed):
        name = file.relative_to(own.parent).with_suffix("")
        yield CheckedFile(f"{model}/{name}", f"{model}: {name}{remark}", _fault(partial(check_fitted, file)))


def _orphans(space: Workspace) -> list[str]:
    """Return the models that have heads or row scores, and no cache."""
    models = (model for model in space.model_folders() if not space.begun_datasets(model))
    return [
        str(model)
        for model in models
        if space.head_file(model).exists()
        or space.other_heads(model)
        or space.kept_scores(model)
        or space.imported_scores(model)
        or space.detectors(model)
    ]


def _verify(info: CacheInfo) -> None:
    if is_unfinished(info.file):
        check_unfinished(info.file)
    check_cache(info.file)
    if not info.complete:
        raise CacheError(
            f"the cache is incomplete: {info.done} of {info.rows} rows",
            file=info.file,
            fix="run the same moodbench extract again",
        )


def _fault(look: Callable[[], object]) -> MoodbenchError | None:
    try:
        look()
    except MoodbenchError as error:
        return error
    return None


def remove_caches(
    space: Workspace,
    models: str | Sequence[str],
    datasets: str | Sequence[str] = (),
    report: Report = lambda line: None,
    *,
    views: bool = False,
) -> list[Path]:
    """Delete the caches of models, or those of some datasets, and return the files.

    With a model's last cache go its head, its row scores and its detectors. Other heads (`Workspace.other_heads`) stay.
    Nothing is deleted that lies elsewhere: of a cache or head that is a symbolic link the link goes, and a folder that
    is one is refused. `report` is told of every file when it is gone. Layers and other views of the models stay, unless
    `views` are to go as well.

    Raises
    ------
    UnknownNameError
        There is no such cache; nothing was deleted.
    CacheError
        A process is writing one of them, a model's folder is a symbolic link, or the system refuses. The other models'
        are deleted before this is raised.
    """
    named = with_views(space, as_names(models)) if views else models
    return remove_listed(space, list_caches(space, named, datasets), report)


def with_views(space: Workspace, chosen: Iterable[str]) -> list[str]:
    """Return the models, each followed by its views that are cached; of one that is not cached any more, the views."""
    found: dict[str, None] = {}
    for name in chosen:
        model = ModelName.parse(name)
        its = [str(view) for view in _views(space, model)]
        found |= dict.fromkeys([*([name] if space.begun_datasets(model) or not its else []), *its])
    return list(found)


def views_left(space: Workspace, infos: Sequence[CacheInfo]) -> dict[str, list[str]]:
    """Return the views of each model of these caches that are not among them, and have a cache of its datasets."""
    left: dict[str, list[str]] = {}
    for model in dict.fromkeys(info.model for info in infos):
        datasets = {info.dataset for info in infos if info.model == model}
        name = ModelName.parse(model)
        others = [] if name.view is not None else _views(space, name)
        its = [str(one) for one in others if datasets & set(space.begun_datasets(one))]
        its = [one for one in its if not any(info.model == one for info in infos)]
        if its:
            left[model] = its
    return left


def remove_listed(space: Workspace, infos: Sequence[CacheInfo], report: Report = lambda line: None) -> list[Path]:
    """Delete these caches, and no other; otherwise as `remove_caches`."""
    removed: list[Path] = []
    faults: list[CacheError] = []
    for model in dict.fromkeys(info.model for info in infos):
        try:
            for file in _removed(space, ModelName.parse(model), [info for info in infos if info.model == model]):
                report(f"removed {file}")
                removed.append(file)
        except CacheError as error:  # the others are not to blame
            faults.append(error)
    if faults:
        raise faults[0]
    return removed


def goes_with(space: Workspace, infos: Sequence[CacheInfo]) -> list[Path]:
    """Return the own heads, row scores and detectors that go with these caches, because no other of the model stays."""
    found = []
    for model in dict.fromkeys(info.model for info in infos):
        name = ModelName.parse(model)
        stay = set(space.begun_datasets(name)) - {info.dataset for info in infos if info.model == model}
        if not stay:
            files = (space.head_file(name), *space.kept_scores(name), *space.detectors(name))
            found += [file for file in files if os.path.lexists(file)]
    return found


def _removed(space: Workspace, name: ModelName, infos: Sequence[CacheInfo]) -> Iterator[Path]:
    """Delete the caches, and yield each file when it is gone."""
    folder = space.cache_dir / name.folder
    if folder.is_symlink():
        raise CacheError(
            f"the folder of '{name}' is a link to '{folder.readlink()}', and what lies there is not deleted",
            file=folder,
            fix="remove the link, and what it leads to if nobody else needs it",
        )
    try:
        for info in infos:
            with exclusive(info.file, tidy=True):
                refuse_if_filled(info.file)
                there = os.path.lexists(info.file)  # somebody else may have removed it just now
                if there:
                    info.file.unlink()
                shards = remove_shards(info.file)
            if there:
                yield info.file
            if shards:
                yield shards_folder(info.file)
        head = space.head_file(name)
        with exclusive(head, waiting=lambda: None, tidy=True):
            gone = is_left_over(head)
            there = gone and os.path.lexists(head)
            if gone:
                for notes in (NOTES, RATES):
                    head.with_name(notes).unlink(missing_ok=True)
            if there:
                head.unlink()
        if there:
            yield head
        if gone:
            yield from _removed_scores(space, name)
        with contextlib.suppress(OSError):  # other heads, caches, or files that are not ours: the folder stays
            head.parent.rmdir()
    except OSError as error:
        raise CacheError(
            f"the caches cannot be removed: {error.strerror}",
            file=folder,
            fix="check the folder and the disk, then run the same command again",
        ) from None


def _removed_scores(space: Workspace, name: ModelName) -> Iterator[Path]:
    """Delete the row scores and detectors of a model, and yield each file when it is gone."""
    top = space.cache_dir / name.folder
    for file in (*space.kept_scores(name), *space.detectors(name)):
        folders = [folder for folder in file.parents if folder.is_relative_to(top) and folder != top]
        if any(folder.is_symlink() for folder in folders):  # what a link leads to is not ours
            continue
        with exclusive(file, waiting=lambda: None, tidy=True):
            file.unlink(missing_ok=True)
            times_file(file).unlink(missing_ok=True)
        yield file
        for folder in folders:  # the inner first; not while others are left in it
            with contextlib.suppress(OSError):
                folder.rmdir()


def _views(space: Workspace, model: ModelName) -> list[ModelName]:
    """Return the views of a model that have a cache of a dataset, or the beginning of one in shards."""
    whole = model.whole
    return [
        one
        for one in space.model_folders()
        if one.view is not None and one.whole == whole and space.begun_datasets(one)
    ]


def _files(space: Workspace) -> Iterator[tuple[ModelName, str, Path]]:
    for model in space.model_folders():
        for dataset in space.begun_datasets(model):
            yield model, dataset, space.cache_file(model, dataset)


def _inspect(model: str, dataset: str, file: Path) -> CacheInfo | None:
    """Look at one cache; None if it was removed just now."""
    size = 0
    try:
        size = bytes_on_disk(file)
        if is_unfinished(file):
            return _begun(model, dataset, file, size)
        file.stat()
        with FeatureCache(file) as cache:
            status = cache.status
            return CacheInfo(
                model,
                dataset,
                file,
                size,
                rows=cache.rows,
                done=int((status != PENDING).sum()),
                skipped=int((status == SKIPPED).sum()),
                dim=cache.dim if has_features(cache.provenance) else None,
                classes=cache.classes,
                complete=cache.complete,
                limit=cache.provenance.get("limit"),
                source=cache.provenance.get("source"),
                shards=len(cache.shards) or None,
                shards_done=len(cache.shards) or None,
            )
    except FileNotFoundError:
        return CacheInfo(model, dataset, file, size, fault="is a link to nowhere") if file.is_symlink() else None
    except MoodbenchError as error:
        there = file.exists() or is_unfinished(file)
        return CacheInfo(model, dataset, file, size, fault=error.what) if there else None


def _begun(model: str, dataset: str, file: Path, size: int) -> CacheInfo:
    """Look at a cache whose shards are not joined yet."""
    plan = plan_of(file)
    there = begun(file, plan)
    return CacheInfo(
        model,
        dataset,
        file,
        size,
        rows=plan.rows,
        done=there.done,
        skipped=there.skipped,
        dim=plan.dim if has_features(plan.provenance) else None,
        classes=plan.classes,
        limit=plan.provenance.get("limit"),
        source=plan.provenance.get("source"),
        shards=plan.shards,
        shards_done=there.complete,
    )
