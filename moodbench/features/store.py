"""Looks after the caches of a workspace: what is there, is it intact, away with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import CacheError, MoodbenchError, UnknownNameError
from moodbench.features.cache import PENDING, SKIPPED, FeatureCache
from moodbench.features.heads import is_left_over, read_head
from moodbench.features.lock import exclusive
from moodbench.features.verify import NOTES, check_cache, forget
from moodbench.workspace import ModelName, Workspace


@dataclass(frozen=True)
class CacheInfo:
    """One cache file, or why it cannot be read (`fault`)."""

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
    fault: str | None = None


def list_caches(space: Workspace, models: Sequence[str] = (), datasets: Sequence[str] = ()) -> list[CacheInfo]:
    """Return every cache of the workspace, or those of some models and datasets, sorted by model and dataset.

    Raises
    ------
    UnknownNameError
        A model or dataset that is named has no cache.
    """
    found = list(_files(space))
    _known("cached model", models, {str(model) for model, _, _ in found})
    _known("cached dataset", datasets, {dataset for _, dataset, _ in found})
    infos = (
        _inspect(str(model), dataset, file)
        for model, dataset, file in found
        if (not models or str(model) in models) and (not datasets or dataset in datasets)
    )
    return [info for info in infos if info is not None]


def verify_caches(
    space: Workspace, models: Sequence[str] = (), datasets: Sequence[str] = ()
) -> Iterator[tuple[CacheInfo, MoodbenchError | None]]:
    """Read every row of the caches and yield each with its fault, or None. An incomplete cache is a fault."""
    heads: set[str] = set()
    for info in list_caches(space, models, datasets):
        try:
            check_cache(info.file, again=True)
            if info.model not in heads:
                heads.add(info.model)
                check_head(space, info.model)
            if not info.complete:
                raise CacheError(
                    f"the cache is incomplete: {info.done} of {info.rows} rows",
                    file=info.file,
                    fix="run the same moodbench extract again",
                )
        except MoodbenchError as error:
            yield info, error
        else:
            yield info, None


def check_head(space: Workspace, model: str) -> None:
    """Raise a `ModelError` if the model's own head is there but cannot be read."""
    file = space.head_file(ModelName.parse(model))
    if file.exists():
        read_head(file)


def remove_caches(space: Workspace, model: str, datasets: Sequence[str] = ()) -> list[Path]:
    """Delete the caches of a model, or those of some datasets, and return the files. With the last one goes its head.

    Raises
    ------
    UnknownNameError
        There is no such cache.
    CacheError
        A process is writing one of them.
    """
    removed = []
    for info in list_caches(space, [model], datasets):
        with exclusive(info.file, tidy=True):
            forget(info.file)
            if info.file.exists():  # somebody else may have removed it just now
                info.file.unlink()
                removed.append(info.file)
    name = ModelName.parse(model)
    head = space.head_file(name)
    with exclusive(head, waiting=lambda: None, tidy=True):
        if is_left_over(head):
            head.with_name(NOTES).unlink(missing_ok=True)
            if head.exists():
                head.unlink()
                removed.append(head)
    with contextlib.suppress(OSError):  # other heads, caches, or files that are not ours: the folder stays
        head.parent.rmdir()
    return removed


def _files(space: Workspace) -> Iterator[tuple[ModelName, str, Path]]:
    for model in space.cached_models():
        for dataset in space.cached_datasets(model):
            yield model, dataset, space.cache_file(model, dataset)


def _known(kind: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _inspect(model: str, dataset: str, file: Path) -> CacheInfo | None:
    """Look at one cache; None if it was removed just now."""
    size = 0
    try:
        size = file.stat().st_size
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
                dim=cache.dim,
                classes=cache.classes,
                complete=cache.complete,
                limit=cache.provenance.get("limit"),
                source=cache.provenance.get("source"),
            )
    except FileNotFoundError:
        return None
    except MoodbenchError as error:
        return CacheInfo(model, dataset, file, size, fault=error.what) if file.exists() else None
