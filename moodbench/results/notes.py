"""The provenance of results ↔ the text of the JSON file beside the CSV: with digests of both, validated on reading."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbench.errors import ResultsError
from moodbench.results.table import ANEW

SCHEMA = 5
"""Of the pair of files. Schema 1 had no number and no digests, 2 had no columns `control` and `remarks`, 3 none about
seeds, 4 none about calibration and selective classification with OOD data."""

_NUMBERED = (2, 3, 4, SCHEMA)

_OWN = ("schema", "sha256")
"""Keys that the file adds to the provenance."""

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Notes:
    """What a JSON file says.

    Attributes
    ----------
    provenance : dict
    rows : str or None
        SHA-256 of the CSV; None where the file was written before there were digests.
    """

    provenance: dict[str, Any]
    rows: str | None


def sha256(data: bytes) -> str:
    """Return the digest in hex."""
    return hashlib.sha256(data).hexdigest()


def format_notes(provenance: Mapping[str, object], table: bytes) -> bytes:
    """Return the JSON file for a provenance and the CSV `table`; equal inputs give equal bytes."""
    clash = [key for key in _OWN if key in provenance]
    if clash:
        raise ValueError(f"a provenance cannot have the key '{clash[0]}'")
    rows = sha256(table)
    notes = {**provenance, "schema": SCHEMA, "sha256": {"rows": rows, "notes": _digest(provenance, rows)}}
    return (json.dumps(notes, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse_notes(data: bytes, file: Path) -> Notes:
    """Return what a JSON file with this content says.

    Parameters
    ----------
    data : bytes
    file : Path
        To name in messages.

    Raises
    ------
    ResultsError
        It is not JSON, was changed after it was written, or a field is not what it should be; the message names it.
    """
    try:
        values = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
        json.dumps(values, ensure_ascii=False).encode()  # halves of surrogate pairs cannot be printed
    except (ValueError, RecursionError) as error:
        raise _fault(file, f"is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise _fault(file, "is not a JSON object")
    schema, digests = values.pop("schema", None), values.pop("sha256", None)
    if schema is None and digests is None:
        _validate(values, file)
        return Notes(values, None)
    if isinstance(schema, int) and schema > SCHEMA:
        raise ResultsError(
            f"the results have schema {schema}; this version of moodbench reads up to {SCHEMA}",
            file=file,
            fix="use the version that wrote them, or score again with this one in another --results-dir",
        )
    if schema not in _NUMBERED or isinstance(schema, (bool, float)):
        raise _field(file, "schema", schema, f"one of the numbers {' and '.join(map(str, _NUMBERED))}")
    if not isinstance(digests, dict) or digests.keys() != {"rows", "notes"}:
        raise _field(file, "sha256", digests, "the two digests 'rows' and 'notes'")
    for name, digest in digests.items():
        if not (isinstance(digest, str) and _HEX.fullmatch(digest)):
            raise _field(file, f"sha256.{name}", digest, "64 hexadecimal digits")
    if digests["notes"] != _digest(values, digests["rows"]):
        raise _fault(file, "was changed after it was written: it does not match its own SHA-256")
    _validate(values, file)
    return Notes(values, digests["rows"])


def _digest(provenance: Mapping[str, object], rows: str) -> str:
    text = json.dumps([rows, provenance], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode())


def _validate(values: Mapping[str, Any], file: Path) -> None:
    """Check the fields that are read later on."""
    _check(file, "inputs", values.get("inputs", {}), dict, "an object")
    _check(file, "moodbench", values.get("moodbench", ""), str, "a version")
    _check(file, "versions", values.get("versions", {}), dict, "an object")
    scores = values.get("scores", {})
    _check(file, "scores", scores, dict, "an object")
    for name, entry in scores.items():
        _check(file, f"scores.{name}", entry, dict, "an object")
        _check(file, f"scores.{name}.title", entry.get("title"), str, "a text")
        _check(file, f"scores.{name}.year", entry.get("year"), int, "a year")
    views = values.get("views", {})
    _check(file, "views", views, dict, "an object")
    for name, its in views.items():
        good = isinstance(its, dict) and all(isinstance(of, dict) for of in its.values())
        _check(file, f"views.{name}", its if good else None, dict, "an object of objects")
    made = values.get("made_with", {})
    _check(file, "made_with", made, dict, "an object")
    for versions, rows in made.items():
        good = isinstance(rows, list) and all(isinstance(row, str) for row in rows)
        _check(file, f"made_with.{versions}", rows if good else None, list, "a list of texts")


def _check(file: Path, field: str, value: object, kind: type, wanted: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _field(file, field, value, wanted)


def _field(file: Path, field: str, value: object, wanted: str) -> ResultsError:
    return _fault(file, f"has {field[:80]} = {json.dumps(value)[:80]}, which should be {wanted}")


def _fault(file: Path, what: str) -> ResultsError:
    return ResultsError(f"the provenance {what}", file=file, fix=ANEW.replace(".json", ".csv"))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values
