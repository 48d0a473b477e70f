"""Where the numbers of a model come from, as the JSON beside its results says it, in few words and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A dataset that numbers were made from; None is what the results do not say (as of imported features)."""

    dataset: str
    role: str
    rows: int | None
    skipped: int | None
    images: str | None
    contents: str | None


@dataclass(frozen=True)
class Origin:
    """The provenance of all numbers of one model.

    Attributes
    ----------
    model, title : str
    facts : sequence of (str, str)
        What the features are, with which versions they were made, which file the numbers lie in.
    parts : sequence of Part
    made_with : sequence of (str, sequence of str)
        Versions → scores.
    whole : str
        All of it, as JSON.
    """

    model: str
    title: str
    facts: Sequence[tuple[str, str]]
    parts: Sequence[Part]
    made_with: Sequence[tuple[str, Sequence[str]]]
    whole: str


def origin_of(model: str, title: str, provenance: Mapping[str, Any]) -> Origin:
    """Return the provenance of a model's results, as `moodbench.results.read_provenance` gives it."""
    datasets: Mapping[str, Any] = provenance.get("datasets", {})
    return Origin(
        model,
        title,
        list(_facts(provenance)),
        [_part(name, entry, provenance) for name, entry in datasets.items()],
        list(provenance.get("made_with", {}).items()),
        json.dumps(provenance, indent=1, sort_keys=True, ensure_ascii=False),
    )


def _facts(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    inputs = provenance.get("inputs", {})
    roles = inputs.get("benchmark", {})
    train = provenance.get("datasets", {}).get(roles.get("id_train"), {}).get("provenance", {})
    made: Mapping[str, Any] = train.get("model", {}) if isinstance(train.get("model"), dict) else {}
    for what, value in (
        ("features from", train.get("source")),
        ("architecture", made.get("timm") or made.get("clip") or made.get("network")),
        ("weights", made.get("weights")),
        ("SHA-256 of the weights", made.get("weights_sha256")),
        ("SHA-256 of the head", inputs.get("head")),
        ("transform", _transform(train.get("transform"))),
        ("precision", train.get("precision")),
        ("device", train.get("device")),
        ("limit", train.get("limit")),
        ("extracted with", _versions(train.get("versions"))),
        ("intervals", provenance.get("intervals")),
    ):
        if value not in (None, ""):
            yield what, str(value)


def _transform(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    return ", ".join(f"{key} {value}" for key, value in sorted(said.items()) if value is not None)


def _versions(said: Any) -> str:
    return ", ".join(f"{name} {number}" for name, number in said.items()) if isinstance(said, dict) else ""


def _part(name: str, entry: Mapping[str, Any], provenance: Mapping[str, Any]) -> Part:
    images = entry.get("provenance", {}).get("images")
    listed = images.get("fingerprint") if isinstance(images, dict) else None
    role = _role(name, provenance.get("inputs", {}).get("benchmark", {}))
    return Part(name, role, entry.get("rows"), entry.get("skipped"), listed, entry.get("contents"))


def _role(name: str, roles: Mapping[str, Any]) -> str:
    found = [words for key, words in _ROLES.items() if name in _listed(roles.get(key))]
    found += [f"{group} OOD" for group, members in roles.get("ood", {}).items() if name in members]
    return ", ".join(found) or "other"


_ROLES = {"id_train": "ID train", "id_val": "ID validation", "id_test": "ID test"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
