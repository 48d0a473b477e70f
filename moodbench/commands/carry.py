"""Carries caches between this machine and a place that several machines see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moodbench.arguments import as_names
from moodbench.commands.cache import list_caches
from moodbench.commands.faults import Faults
from moodbench.errors import CacheError, UsageError, refuse_unknown
from moodbench.features.carried.layout import OfModel, sorted_out
from moodbench.features.carried.pull import Fetched, fetch
from moodbench.features.carried.push import Brought, bring
from moodbench.features.carried.store import Store
from moodbench.progress import SILENT, Progress
from moodbench.sizes import many
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace


def push_caches(
    space: Workspace,
    place: str | Path,
    models: str | Sequence[str] = (),
    datasets: str | Sequence[str] = (),
    *,
    report: Report = lambda line: None,
    progress: Progress = SILENT,
) -> int:
    """Bring caches, or those of some models and datasets, to a folder or address; return how many files were new.

    Complete caches and complete shards are brought, with the heads of their models. What is there already stays.

    Raises
    ------
    UnknownNameError
        A model or dataset that is named has no cache.
    CacheError
        There are none, or one is damaged, or another of its name is there, or the place cannot be written; the others
        are brought.
    """
    store, new, faults = _place(space, place), 0, Faults("push", report)
    infos = list_caches(space, models, datasets)
    if not infos:
        raise CacheError("there are no caches", file=space.cache_dir, fix="run moodbench extract first")
    there: set[str] | None = None
    for info in infos:
        name = f"{info.model} on {info.dataset}"
        with faults.of(name):
            there = set(store.whole()) if there is None else there
            brought = bring(store, info.file, sorted_out(there).get(info.model, OfModel()), progress)
            there.update(brought.names)  # the heads of its model among them
            new += len(brought.names)
            report(_said(name, brought, info.shards))
    faults.end()
    return new


def _place(space: Workspace, place: str | Path) -> Store:
    """Open a place, which is not to be the cache folder."""
    store, caches = Store(str(place)), space.cache_dir.resolve()
    if store.folder is not None and store.folder.resolve().is_relative_to(caches):
        raise UsageError(f"'{place}' is in the cache folder itself", fix="name a place that other machines see")
    return store


def _said(name: str, brought: Brought, shards: int | None) -> str:
    left = ""
    if brought.missing:
        left = f"; {many(brought.missing, 'shard')} still to come" if shards else "; it is incomplete"
    if brought.names:
        return f"pushed {name}: {many(len(brought.names), 'file')}{left}"
    return f"skip {name}: {'it is there' if not left else left.removeprefix('; ')}"


def pull_caches(
    space: Workspace,
    place: str | Path,
    models: str | Sequence[str] = (),
    datasets: str | Sequence[str] = (),
    *,
    report: Report = lambda line: None,
    progress: Progress = SILENT,
) -> int:
    """Fetch caches, or those of some models and datasets, from a folder or address; return how many files were new.

    Shards that are all here then are joined.

    Raises
    ------
    UnknownNameError
        A model or dataset that is named is not there.
    CacheError
        There are no caches, something else of the name is here, what is there is damaged, or it cannot be read; the
        others are fetched.
    """
    models, datasets = as_names(models), as_names(datasets)
    store, new, faults = _place(space, place), 0, Faults("pull", report)
    sizes = store.whole()
    there = {model: of for model, of in sorted_out(sizes).items() if of.datasets}
    if not there:
        raise CacheError(
            "there are no caches", file=store.address, fix="check the place; moodbench cache push brings caches there"
        )
    refuse_unknown("pushed model", models, there)
    chosen = {model: of for model, of in there.items() if not models or model in models}
    refuse_unknown("pushed dataset", datasets, {dataset for of in chosen.values() for dataset in of.datasets})
    for model, of in chosen.items():
        for dataset in sorted(set(of.datasets) & set(datasets) if datasets else of.datasets):
            name = f"{model} on {dataset}"
            with faults.of(name):
                fetched = fetch(store, space.cache_file(ModelName.parse(model), dataset), of, sizes, progress)
                new += fetched.new + fetched.heads
                report(_told(name, fetched))
    faults.end()
    return new


def _told(name: str, fetched: Fetched) -> str:
    part = ""
    if fetched.of:
        joined = "all {}, joined" if fetched.shards == fetched.of else f"{fetched.shards} of {{}} are here now"
        part = f": {joined.format(many(fetched.of, 'shard'))}"
    if fetched.new:
        return f"pulled {name}{part}"
    if fetched.heads:
        return f"pulled {name}: {many(fetched.heads, 'head')}" + (part.replace(": ", "; ", 1) or "; the cache is here")
    return f"skip {name}: it is here" if not fetched.of or fetched.shards == fetched.of else f"skip {name}{part}"
