"""What rows were made from, in two digests: one of the very inputs, one of how anybody can make them again.

*Inputs* are the contents of the feature caches, the head, and the definition of the benchmark: equal inputs give equal
numbers, so that rows that differ contradict each other. *Recipe* is what the features are made of (weights, transform,
precision, list of images): on other hardware the same recipe gives features that differ in their last digits, and its
rows a replication.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from moodbench.results.made import used_by, views_read
from moodbench.types import Result

_OF_MODEL = ("args", "classes", "dim", "features", "head_sha256", "image_size", "weights_sha256")
"""What identifies the network: where its file came from, and what it is called, changes nothing."""

_OF_FEATURES = ("transform", "precision", "limit", "layer", "view")


def signatures(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the two digests of a file of results, ``inputs`` and ``recipe``, in hex."""
    return {"inputs": _digest(_inputs(provenance)), "recipe": _digest(_recipe(provenance))}


def row_inputs(provenance: Mapping[str, Any], row: Result) -> str:
    """Return the digest of the inputs that one row depends on; others of its file do not count."""
    return _digest(_inputs(provenance, row))


def row_recipe(provenance: Mapping[str, Any], row: Result) -> str:
    """Return the digest of the recipe of what one row depends on."""
    return _digest(_recipe(provenance, row))


def _inputs(provenance: Mapping[str, Any], row: Result | None = None) -> dict[str, Any]:
    inputs = provenance.get("inputs", {})
    contents = inputs.get("contents", {})
    used = {*contents} if row is None else used_by(inputs, row)
    found = {
        "benchmark": inputs.get("benchmark"),
        "head": inputs.get("head"),
        "contents": {name: digest for name, digest in contents.items() if name in used},
    }
    if row is None:
        return found | {"views": provenance.get("views", {}), "imported": _imported(provenance, used, None)}
    return found | {"views": views_read(provenance, row), "imported": _imported(provenance, used, row.score)}


def _imported(provenance: Mapping[str, Any], used: set[str], score: str | None) -> dict[str, Any]:
    """Return what imported numbers rows were made from: ``<score>/<dataset>`` → what counts of them."""
    noted = provenance.get("imported", {})
    parts = {place: place.partition("/") for place in noted}
    return {
        place: noted[place] for place, (name, _, dataset) in parts.items() if dataset in used and score in (None, name)
    }


def _recipe(provenance: Mapping[str, Any], row: Result | None = None) -> dict[str, Any]:
    inputs = _inputs(provenance, row)
    datasets = provenance.get("datasets", {})
    how = {name: _how(datasets.get(name, {}), digest) for name, digest in inputs["contents"].items()}
    views = {name: sorted(its) for name, its in inputs["views"].items()}  # their contents are another machine's too
    return {**inputs, "contents": how, "views": views}


def _how(entry: Mapping[str, Any], contents: str) -> Any:
    """Return how the features of a dataset were made; where nobody knows (imported ones), what they are."""
    noted = entry.get("provenance", {})
    model, images = noted.get("model"), noted.get("images")
    if not isinstance(model, dict) or not isinstance(images, dict):
        return contents
    made = {key: model.get(key) for key in _OF_MODEL} | {key: noted.get(key) for key in _OF_FEATURES}
    return made | {"images": images.get("fingerprint"), "rows": entry.get("rows")}


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
