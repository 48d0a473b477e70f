"""What the last verifications of a dataset found, noted for those who ask later.

    data/.moodbench/<dataset>.verified.json

A quick and a deep verification are noted apart: a quick one neither confirms nor refutes what a deep one found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from moodbench.errors import DataError
from moodbench.inspection.manifest import NOTES, write_note
from moodbench.reading import as_record, parse_json

SCHEMA = 1


@dataclass(frozen=True)
class Verdict:
    """One verification of one dataset.

    Attributes
    ----------
    time : str
        ISO 8601, UTC.
    ok : bool
        No fault of the dataset itself was found; an overlap is one of a benchmark.
    images, bytes : int
        That are there, and their size together.
    findings : mapping
        Kind → how many.
    """

    time: str
    ok: bool
    images: int
    bytes: int
    findings: Mapping[str, int] = field(default_factory=dict)


def verdict_file(data_dir: Path, dataset: str) -> Path:
    """Where the verifications of a dataset are noted."""
    return data_dir / NOTES / f"{dataset}.verified.json"


def read_verdicts(data_dir: Path, dataset: str) -> dict[str, Verdict]:
    """Return ``quick`` and ``deep`` → the last verification of that kind; without those that were never made.

    Raises
    ------
    DataError
        The note cannot be read.
    """
    file = verdict_file(data_dir, dataset)
    try:
        values = parse_json(file.read_text(encoding="utf-8"))
        if values["schema"] != SCHEMA:
            raise DataError(f"the note has schema {values['schema']}; this moodbench knows {SCHEMA}", file=file)
        return {kind: as_record(Verdict, values[kind]) for kind in ("quick", "deep") if kind in values}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the note about the last verification of '{dataset}' cannot be read: {error}",
            file=file,
            fix=f"moodbench verify {dataset}  writes it anew",
        ) from None


def note_verdict(data_dir: Path, dataset: str, verdict: Verdict, *, deep: bool) -> None:
    """Note a verification, whole or not at all. A deep one is a quick one, too."""
    try:
        known = read_verdicts(data_dir, dataset)
    except DataError:
        known = {}
    known["quick"] = verdict
    if deep:
        known["deep"] = verdict
    values = {kind: asdict(entry) for kind, entry in known.items()}
    write_note(verdict_file(data_dir, dataset), {"schema": SCHEMA, **values})


def now() -> str:
    """Return the time, in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
