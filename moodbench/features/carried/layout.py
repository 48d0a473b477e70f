"""What lies at a place of caches: the files of the cache folder by their names in it, without the manifests.

A cache in shards is its plan and its shards there; whoever has all of them makes the manifest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from moodbench.errors import UsageError
from moodbench.names import dataset_fault, name_fault
from moodbench.shard_names import PLAN, SUFFIX, shard_of
from moodbench.workspace import ModelName

FOLDERS = 2
"""How many folders a name has at most: that of the model, and of heads or shards in it."""


@dataclass
class OfDataset:
    """What is there of one cache.

    Attributes
    ----------
    file : str or None
        The cache as one file.
    plan : str or None
    shards : dict of int to str
    """

    file: str | None = None
    plan: str | None = None
    shards: dict[int, str] = field(default_factory=dict)


@dataclass
class OfModel:
    """What is there of a model.

    Attributes
    ----------
    head : str or None
        Its own.
    heads : dict of str to str
        Others, by name.
    datasets : dict of str to OfDataset
    """

    head: str | None = None
    heads: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, OfDataset] = field(default_factory=dict)


def sorted_out(names: Iterable[str]) -> dict[str, OfModel]:
    """Return model → what is there of it, sorted; names that nobody brought so are left out."""
    found: dict[str, OfModel] = {}
    for name in sorted(names):
        folder, *rest = PurePosixPath(name).parts
        model = _model_of(folder)
        if model is not None and rest:
            of = found.setdefault(model, OfModel())
            _place(of, name, rest)
    return {model: of for model, of in found.items() if of.datasets or of.head or of.heads}


def _model_of(folder: str) -> str | None:
    try:
        name = ModelName.of_folder(folder)
    except UsageError:
        return None
    return str(name) if name.folder == folder else None


def _place(of: OfModel, name: str, parts: list[str]) -> None:
    stem = parts[-1].removesuffix(".h5")
    match parts:
        case ["head.h5"]:
            of.head = name
        case ["heads", file] if file.endswith(".h5") and name_fault(stem) is None:
            of.heads[stem] = name
        case [file] if file.endswith(".h5") and dataset_fault(stem) is None:
            of.datasets.setdefault(stem, OfDataset()).file = name
        case [folder, file] if (
            folder.endswith(SUFFIX) and dataset_fault(dataset := folder.removesuffix(SUFFIX)) is None
        ):
            index = shard_of(file)
            if file == PLAN:
                of.datasets.setdefault(dataset, OfDataset()).plan = name
            elif index is not None:
                of.datasets.setdefault(dataset, OfDataset()).shards[index] = name
