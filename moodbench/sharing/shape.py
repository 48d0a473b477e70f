"""Whether a provenance that somebody else wrote has the shape that results have: what is read of it later is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shape_fault(provenance: Mapping[str, Any]) -> str | None:
    """Say which field is not what it should be; None if all are. What nobody reads may be anything.

    >>> shape_fault({"inputs": {"benchmark": {"ood": []}}})
    "'inputs.benchmark.ood' in its .json is not what it should be"
    """
    inputs = provenance.get("inputs")
    if not isinstance(inputs, dict) or not isinstance(inputs.get("benchmark"), dict):
        return "its .json does not define the benchmark"
    roles, datasets = inputs["benchmark"], provenance.get("datasets", {})
    checks = {
        "inputs.benchmark.ood": _texts_by_name(roles.get("ood")),
        "inputs.benchmark.id_test": _texts(roles.get("id_test")),
        "inputs.benchmark.id_train": isinstance(roles.get("id_train"), str | None),
        "inputs.benchmark.id_val": isinstance(roles.get("id_val"), str | None),
        "inputs.benchmark.classes": isinstance(roles.get("classes"), list | dict | None),
        "inputs.head": isinstance(inputs.get("head"), str | None),
        "inputs.contents": isinstance(inputs.get("contents"), dict)
        and all(isinstance(digest, str) for digest in inputs["contents"].values()),
        "imported": isinstance(provenance.get("imported", {}), dict),
        "intervals": isinstance(provenance.get("intervals"), str | None),
        "scores": all(isinstance(said.get("paper", ""), str) for said in provenance.get("scores", {}).values()),
        "datasets": isinstance(datasets, dict) and all(isinstance(entry, dict) for entry in datasets.values()),
    }
    wrong = next((field for field, good in checks.items() if not good), None)
    if wrong is None:
        wrong = next((f"datasets.{name}" for name, entry in datasets.items() if not _entry(entry)), None)
    return None if wrong is None else f"'{wrong[:80]}' in its .json is not what it should be"


def _entry(entry: Mapping[str, Any]) -> bool:
    """Say whether this can be said of a dataset."""
    noted = entry.get("provenance", {})
    counts = [entry.get("rows"), entry.get("skipped")]
    if not isinstance(noted, dict) or not all(one is None or _count(one) for one in counts):
        return False
    images = noted.get("images")
    listed = images is None or (isinstance(images, dict) and isinstance(images.get("fingerprint"), str | None))
    return listed and isinstance(entry.get("contents"), str | None)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_texts, value.values()))
