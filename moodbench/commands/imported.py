"""Imported scores: which there are, and away with them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbench.arguments import as_names
from moodbench.errors import CacheError, MoodbenchError, UnknownNameError
from moodbench.features.imported import read_imported
from moodbench.features.lock import exclusive
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace

Record = dict[str, Any]


@dataclass(frozen=True)
class ImportedInfo:
    """The imported numbers of one score for one dataset, or why they cannot be read (`fault`)."""

    model: str
    dataset: str
    score: str
    file: Path
    bytes: int
    rows: int | None = None
    source: str | None = None
    sha256: str | None = None
    orientation: str | None = None
    fault: str | None = None


def list_imported(
    space: Workspace,
    models: str | Sequence[str] = (),
    datasets: str | Sequence[str] = (),
    scores: str | Sequence[str] = (),
) -> list[ImportedInfo]:
    """Return the imported scores of the workspace, or those of some models, datasets and names, sorted.

    Raises
    ------
    UnknownNameError
        A model or dataset has no cache and nothing imported, or a score was imported for none of the models.
    """
    models, datasets, scores = as_names(models), as_names(datasets), as_names(scores)
    found = [
        (str(model), score, dataset)
        for model in space.model_folders()
        if not models or str(model) in models
        for score, its in space.imported_scores(model).items()
        for dataset in its
    ]
    folders = {str(model): model for model in space.model_folders()}
    chosen = [model for name, model in folders.items() if not models or name in models]
    cached = {dataset for model in chosen for dataset in space.cached_datasets(model)}
    for kind, names, known in (
        ("cached model", models, {*folders}),
        ("cached dataset", datasets, cached | {dataset for *_, dataset in found}),
        ("imported score", scores, {score for _, score, _ in found}),
    ):
        for name in names:
            if name not in known:
                raise UnknownNameError(kind, name, known)
    return [
        _imported_info(space, model, score, dataset)
        for model, score, dataset in found
        if (not scores or score in scores) and (not datasets or dataset in datasets)
    ]


def _imported_info(space: Workspace, model: str, score: str, dataset: str) -> ImportedInfo:
    file = space.imported_file(ModelName.parse(model), score, dataset)
    size = file.stat().st_size if file.exists() else 0
    try:
        read = read_imported(file)
    except MoodbenchError as error:
        return ImportedInfo(model, dataset, score, file, size, fault=error.what)
    about = read.origin
    rows = len(read.values)
    return ImportedInfo(model, dataset, score, file, size, rows, about.file, about.sha256, about.orientation)


def remove_imported(space: Workspace, infos: Sequence[ImportedInfo], report: Report = lambda line: None) -> list[Path]:
    """Delete these imported scores, and return the files; `report` is told of each when it is gone.

    Raises
    ------
    CacheError
        The folder of a model is a symbolic link, or the system refuses.
    """
    removed = []
    for info in infos:
        folders = info.file.parents[:3]
        if any(folder.is_symlink() for folder in folders):
            raise CacheError("what a link leads to is not deleted", file=info.file, fix="remove the link")
        try:
            with exclusive(info.file, waiting=lambda: None, tidy=True):
                info.file.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"the scores cannot be removed: {error.strerror}", file=info.file) from None
        report(f"removed {info.file}")
        removed.append(info.file)
        for folder in folders:  # the inner first; not while others are left in it
            with contextlib.suppress(OSError):
                folder.rmdir()
    return removed


def imported_records(space: Workspace) -> dict[str, Record]:
    """Return every imported score: what `list_scores` says of one, and the datasets of each model it has numbers of."""
    found: dict[str, Record] = {}
    for model in space.model_folders():
        for name, datasets in space.imported_scores(model).items():
            family = "imported"
            with contextlib.suppress(CacheError):  # `cache verify` says what is wrong with it
                family = read_imported(space.imported_file(model, name, datasets[0])).origin.family
            record = found.setdefault(
                name,
                {
                    "name": name,
                    "title": name,
                    "family": family,
                    "needs": [],
                    "assumes": None,
                    "cost": None,
                    "params": {},
                    "views": None,
                    "paper": None,
                    "note": None,
                    "imported": {},
                },
            )
            record["imported"][str(model)] = datasets
    for record in found.values():
        record["note"] = f"imported for {', '.join(record['imported'])}"
    return found
