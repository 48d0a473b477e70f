"""Datasets and archives to be obtained, and the means for it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.obtain.fill import Means
from moodbench.obtain.jobs import Job
from moodbench.transfer.meter import SILENT

PNG = b"\x89PNG\r\n\x1a\n and so on"


def archive(file: str = "a.tar", content: bytes = b"content", **changes) -> ArchiveSpec:
    """Return an archive of a catalogue, with the digests of its content."""
    known = {
        "urls": (f"http://example.org/{file}",),
        "bytes": len(content),
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "max_files": 10,
        "max_bytes": 1000,
    }
    return ArchiveSpec(file=file, **{**known, **changes})


def dataset(name: str = "d", **values) -> DatasetSpec:
    """Return a dataset of a catalogue, in a folder of its name."""
    return DatasetSpec(name, name.title(), **{"folder": name, "labels": "none", **values})


def job(spec: DatasetSpec) -> Job:
    """Return the job of one dataset alone."""
    return Job(spec, (spec,))


def means(data_dir: Path, **changes) -> Means:
    """Return silent means to obtain datasets with."""
    return replace(Means(data_dir, lambda line: None, SILENT, progress=False, jobs=1, photographs=None), **changes)


def pictures(folder: Path, *names: str) -> Path:
    """Write files that begin as PNG do; return their folder."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PNG + name.encode())
    return folder
