"""Makes single files of caches that lie in shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moodbench.commands.cache import list_caches
from moodbench.commands.faults import Faults
from moodbench.features.shards.pack import pack
from moodbench.progress import SILENT, Progress
from moodbench.types import Report
from moodbench.workspace import Workspace


def pack_caches(
    space: Workspace,
    models: str | Sequence[str] = (),
    datasets: str | Sequence[str] = (),
    *,
    report: Report = lambda line: None,
    progress: Progress = SILENT,
) -> list[Path]:
    """Make one file of each cache, or of those of some models and datasets, that is in shards; return those.

    Raises
    ------
    UnknownNameError
        A model or dataset that is named has no cache.
    CacheError
        One cannot be packed; the others are, before this is raised.
    """
    packed, faults = [], Faults("pack", report)
    infos = list_caches(space, models, datasets)
    if not infos:
        report(f"no caches below '{space.cache_dir}'")
    for info in infos:
        name = f"{info.model} on {info.dataset}"
        with faults.of(name):
            if pack(info.file, progress):
                report(f"packed {name}: {info.file}")
                packed.append(info.file)
            else:
                report(f"skip {name}: it is one file")
    faults.end()
    return packed
