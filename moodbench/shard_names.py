"""Where shards lie: ``<dataset>.shards/`` beside ``<dataset>.h5``, with the plan and ``shard-00003-of-00080.h5``."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIX = ".shards"
"""Of the folder."""

PLAN = "plan.json"

_SHARD = re.compile(r"shard-(\d{5,})-of-(\d{5,})\.h5")


def shards_folder(file: Path) -> Path:
    """Return the folder for the shards of a cache."""
    return file.with_name(f"{file.stem}{SUFFIX}")


def shard_name(index: int, of: int) -> str:
    """Return the name of a shard's file; the first is 1, as on the command line."""
    return f"shard-{index:05d}-of-{of:05d}.h5"


def shard_of(name: str) -> int | None:
    """Return which shard a file is by its name, counted from 1; None where it is none."""
    found = _SHARD.fullmatch(name)
    return None if found is None else int(found[1])


def shard_files(folder: Path) -> list[Path]:
    """Return the shards that lie in a folder, whosesoever they are, sorted."""
    try:
        return sorted(file for file in folder.iterdir() if _SHARD.fullmatch(file.name))
    except OSError:  # there is none, or it is no folder
        return []


def unfinished(folder: Path) -> list[str]:
    """Return the datasets that have a plan of shards in the folder of a model, sorted; their caches may be there."""
    return sorted(plan.parent.name.removesuffix(SUFFIX) for plan in folder.glob(f"*{SUFFIX}/{PLAN}"))


def has_plan(file: Path) -> bool:
    """Say whether shards of a cache were begun that are not joined yet, or not packed."""
    return (shards_folder(file) / PLAN).exists()
