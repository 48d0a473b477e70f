"""What is noted about a dataset on this disk: where it came from, and the size and digest of every image.

Both lie below the data directory and outside the dataset's folder, which may be a link to somebody else's:

    data/.moodbench/<dataset>.json   its origin
    data/.moodbench/<dataset>.csv    path, bytes, sha256 of every file
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moodbench.atomic import replace_file
from moodbench.errors import DataError
from moodbench.reading import as_record, parse_json

NOTES = ".moodbench"
"""Folder of these notes, below the data directory."""

SCHEMA = 1


@dataclass(frozen=True)
class Origin:
    """Where a dataset on this disk came from.

    Attributes
    ----------
    dataset : str
    how : str
        ``downloaded``, ``unpacked`` (from archives that the user had), ``copied``, ``hard-linked``, ``linked``,
        ``in place`` (the images were where they belong) or ``generated``.
    source : str
        Address, path or recipe.
    archives : tuple of mapping
        ``file``, ``source``, ``bytes``, ``sha256``, and ``known``: whether the catalogue had a digest to compare with.
    images, bytes : int
        Files, and their size together.
    time : str
        ISO 8601, UTC.
    note : str or None
        What a user of it must know.
    """

    dataset: str
    how: str
    source: str
    images: int
    bytes: int
    time: str
    archives: tuple[Mapping[str, Any], ...] = field(default=())
    note: str | None = None

    @classmethod
    def begun(
        cls,
        dataset: str,
        how: str,
        source: str,
        archives: tuple[Mapping[str, Any], ...] = (),
        note: str | None = None,
    ) -> Origin:
        """Return the origin of a dataset whose files are not counted yet: `counted` makes it whole."""
        return cls(dataset, how, source, 0, 0, "", archives, note)

    def counted(self, records: Mapping[str, FileRecord]) -> Origin:
        """Return the origin with number and size of the files, as of now."""
        size = sum(record.bytes for record in records.values())
        time = datetime.now(UTC).isoformat(timespec="seconds")
        return replace(self, images=len(records), bytes=size, time=time)


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 (hex) of a file."""

    bytes: int
    sha256: str


def origin_file(data_dir: Path, dataset: str) -> Path:
    """Where the origin of a dataset is noted."""
    return data_dir / NOTES / f"{dataset}.json"


def manifest_file(data_dir: Path, dataset: str) -> Path:
    """Where size and digest of every file of a dataset are noted."""
    return data_dir / NOTES / f"{dataset}.csv"


def read_origin(data_dir: Path, dataset: str) -> Origin | None:
    """Return the noted origin; None if there is no note.

    Raises
    ------
    DataError
        The note cannot be read.
    """
    file = origin_file(data_dir, dataset)
    try:
        values = parse_json(file.read_text(encoding="utf-8"))
        schema = values.pop("schema")
        if schema != SCHEMA:
            raise DataError(f"the note has schema {schema}; this moodbench knows {SCHEMA}", file=file)
        return as_record(Origin, {**values, "archives": tuple(values["archives"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the note about the origin of '{dataset}' cannot be read: {error}",
            file=file,
            fix="remove it; the images stay",
        ) from None


def write_origin(data_dir: Path, origin: Origin) -> None:
    """Note an origin, whole or not at all."""
    write_note(origin_file(data_dir, origin.dataset), {"schema": SCHEMA, **asdict(origin)})


def read_manifest(data_dir: Path, dataset: str) -> dict[str, FileRecord] | None:
    """Return path → record of every file, in the manifest's order; None if there is none.

    Raises
    ------
    DataError
        The manifest is damaged.
    """
    file = manifest_file(data_dir, dataset)
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            return {row["path"]: FileRecord(int(row["bytes"]), row["sha256"]) for row in rows}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(
            f"the manifest of '{dataset}' cannot be read: {error}",
            file=file,
            fix=f"remove it and make a new one: moodbench download {dataset} --from FOLDER",
        ) from None


def write_manifest(data_dir: Path, dataset: str, records: Mapping[str, FileRecord]) -> None:
    """Note size and digest of every file, whole or not at all."""
    file = manifest_file(data_dir, dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.part")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        # strings in quotes: a bare carriage return in a name would end the line
        writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(("path", "bytes", "sha256"))
        writer.writerows((path, record.bytes, record.sha256) for path, record in records.items())
    temporary.replace(file)


def write_note(file: Path, values: Mapping[str, Any]) -> None:
    """Write a note as JSON, whole or not at all."""
    replace_file(file, (json.dumps(values, indent=2) + "\n").encode())
