"""Which inputs differ between two results: what their provenance says of weights, pictures, head, versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moodbench.results.made import made_with_of, used_by
from moodbench.types import Result

Provenance = Mapping[str, Any]

UNKNOWN = "nothing that was noted differs: chance in the score, another machine, or the score's own code"

MOST_NAMED = 3
"""Datasets that are named; more are counted."""

MOST_LENGTH = 60
"""Characters of a value that is shown; of longer ones only that they differ."""


def causes(theirs: Provenance, ours: Provenance, their_row: Result, our_row: Result) -> str:
    """Return in words what differs between the inputs of two rows; `UNKNOWN` where nothing does."""
    found = dict.fromkeys(
        [
            *_of_rows(their_row, our_row),
            *_of_caches(theirs, ours, _used(theirs, their_row) | _used(ours, our_row)),
            *_of_run(theirs, ours),
            *_of_versions(_made_with(theirs, their_row), _made_with(ours, our_row)),
        ]
    )
    return "; ".join(found) or UNKNOWN


def _of_rows(theirs: Result, ours: Result) -> Iterator[str]:
    if theirs.params != ours.params:
        yield f"parameters: {theirs.params or 'none'} → {ours.params or 'none'}"
    for name, called in (("n_id", "ID test rows"), ("n_ood", "OOD rows"), ("seeds", "seeds")):
        yield from _changed(called, getattr(theirs, name), getattr(ours, name))
    for remark in theirs.remarks:
        if remark not in ours.remarks:
            yield f"only theirs: {remark}"
    for remark in ours.remarks:
        if remark not in theirs.remarks:
            yield f"only ours: {remark}"


def _of_caches(theirs: Provenance, ours: Provenance, names: set[str]) -> Iterator[str]:
    """Yield what differs in the features of these datasets, the same of several once, with their names."""
    before, now = theirs.get("datasets", {}), ours.get("datasets", {})
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        old, new = before.get(name), now.get(name)
        if old is None or new is None or old.get("contents") == new.get("contents"):
            continue
        said = list(_of_features(old.get("provenance", {}), new.get("provenance", {})))
        for one in said or ["features, and nothing says why"]:
            found.setdefault(one, []).append(name)
    for what, of in found.items():
        where = ", ".join(of) if len(of) <= MOST_NAMED else f"{len(of)} of {len(names)} datasets"
        yield what if len(of) == len(names) else f"{what} ({where})"


def _of_features(theirs: Provenance, ours: Provenance) -> Iterator[str]:
    old, new = theirs.get("model", {}), ours.get("model", {})
    if old.get("weights_sha256") != new.get("weights_sha256"):
        yield f"weights: {_digest(old)} → {_digest(new)}"
    for key in sorted(({*old, *new}) - {"weights_sha256", "weights", "name"}):
        yield from _changed(f"model.{key}", old.get(key), new.get(key))
    old, new = theirs.get("transform") or {}, ours.get("transform") or {}
    for key in sorted({*old, *new}):
        yield from _changed(f"transform.{key}", old.get(key), new.get(key))
    old, new = theirs.get("images") or {}, ours.get("images") or {}
    if old.get("fingerprint") != new.get("fingerprint"):
        yield "image list" + "".join(_changed("", old.get("count"), new.get("count")))
    for key in sorted(({*theirs, *ours}) - {"model", "transform", "images", "versions", "time", "pretext"}):
        yield from _changed(key, theirs.get(key), ours.get(key))
    yield from _of_versions(theirs.get("versions", {}), ours.get("versions", {}), "extracted with ")


def _of_run(theirs: Provenance, ours: Provenance) -> Iterator[str]:
    old, new = theirs.get("inputs", {}), ours.get("inputs", {})
    if old.get("head") != new.get("head"):
        yield "head"
    if old.get("benchmark") != new.get("benchmark"):
        yield "definition of the benchmark"


def _of_versions(theirs: Mapping[str, str], ours: Mapping[str, str], begin: str = "") -> Iterator[str]:
    for package in sorted({*theirs, *ours}):
        yield from _changed(f"{begin}{package}", theirs.get(package), ours.get(package))


def _made_with(noted: Provenance, row: Result) -> dict[str, str]:
    """Return the versions that a row was computed with, which may be older than those of the file."""
    made = made_with_of(noted, row)[0]
    return {package: number for package, _, number in (part.partition(" ") for part in made.split(", "))}


def _used(noted: Provenance, row: Result) -> set[str]:
    return used_by(noted.get("inputs", {}), row)


def _digest(model: Provenance) -> str:
    return str(model.get("weights_sha256") or "unknown")[:8]


def _changed(what: str, before: object, now: object) -> Iterator[str]:
    if before == now:
        return
    old, new = (_shown(value) for value in (before, now))
    short = len(old) <= MOST_LENGTH and len(new) <= MOST_LENGTH
    yield f"{what} {old} → {new}" if short else what


def _shown(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
