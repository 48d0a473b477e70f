"""Models as plain records, and groups of those that may fairly be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from moodbench.catalog import PRETEXT_TASKS, TUNINGS, Exposure, ModelSpec, pixels_of, seen_by
from moodbench.models.weights import digest_known, is_complete, weights_on_disk
from moodbench.prefixes import split

Record = dict[str, Any]


def model_record(spec: ModelSpec) -> Record:
    """Return all that the catalogue says about a model, and whether its weights are on this disk."""
    file = weights_on_disk(spec)
    return {one.name: getattr(spec, one.name) for one in fields(spec)} | {
        "head": spec.head.kind,
        "checkpoint": None if spec.checkpoint is None else str(spec.checkpoint),
        "variants": list(spec.variants),
        "weights": _source(spec),
        "on_disk": is_complete(spec),
        "file": None if file is None else str(file),
        "bytes": spec.bytes if file is None else file.stat().st_size,
        "digest": digest_known(spec),
        "image_size": pixels_of(spec),
    }


def _source(spec: ModelSpec) -> str:
    if spec.checkpoint is not None:
        return "embedded"
    if spec.by_hand is not None:
        return "by hand"
    if spec.network is not None and spec.url is None:
        return split(spec.network)[0] or "elsewhere"
    return "address" if spec.url is not None else "hub" if spec.clip is not None else "timm hub"


def fair_groups(models: Mapping[str, ModelSpec]) -> list[Record]:
    """Return groups of models that have seen the same and are of one size, those of most pretext tasks first."""
    groups: dict[Exposure, list[Record]] = {}
    for name, spec in _columns(models):
        groups.setdefault(seen_by(spec), []).append(_column(name, spec))
    records = [_group(seen, columns) for seen, columns in groups.items()]
    return sorted(records, key=lambda r: (-len({m["pretext"] for m in r["models"]}), -len(r["models"])))


def _columns(models: Mapping[str, ModelSpec]) -> Iterator[tuple[str, ModelSpec]]:
    """Yield the models and those of their variants that differ in more than what is done to pictures."""
    for name, spec in models.items():
        yield name, spec
        for variant, changed in spec.variants.items():
            if replace(changed, transform=spec.transform, image=spec.image) != replace(spec, variants={}):
                yield f"{name}@{variant}", changed


def _group(seen: Exposure, columns: list[Record]) -> Record:
    text = None if seen.text is None else "yes" if seen.text else "no"
    said = {"labels": seen.labels, "data": seen.data, "text": text, "size": seen.size}
    order = sorted(columns, key=lambda c: (TUNINGS.index(c["tuning"] or "none"), _pretext_place(c["pretext"])))
    return {
        "name": ", ".join(f"{key}: {value or 'not said'}" for key, value in said.items()),
        "labels_seen": seen.labels,
        "data": seen.data,
        "text_supervision": seen.text,
        "size": seen.size,
        "models": order,
    }


def _pretext_place(pretext: str) -> tuple[int, str]:
    """Return where a pretext task stands: the known ones first, then others by name."""
    return (PRETEXT_TASKS.index(pretext) if pretext in PRETEXT_TASKS else len(PRETEXT_TASKS), pretext)


def _column(name: str, spec: ModelSpec) -> Record:
    return {
        "name": name,
        "title": spec.title,
        "pretext": spec.pretext,
        "method": spec.method,
        "tuning": spec.tuning,
        "params": spec.params,
        "image_size": pixels_of(spec),
        "top1": spec.top1,
    }
