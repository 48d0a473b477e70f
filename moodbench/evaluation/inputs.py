"""What tells whether numbers are still of what lies in the caches. Without torch: reading them back takes none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from moodbench.features.cache import FeatureCache
from moodbench.features.heads import stored_head
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace


def digest_of(head: Head) -> str:
    """Return SHA-256 in hex of a head with the names of its classes."""
    names = "\0".join(head.class_names or ()).encode("utf-8", "surrogateescape")
    return hashlib.sha256(head.weight.tobytes() + head.bias.tobytes() + names).hexdigest()


def changed_since(space: Workspace, name: ModelName, inputs: Mapping[str, Any]) -> str | None:
    """Return a cache, or the head, that is another than `inputs` says; None if all are the same, or gone.

    What was removed to save room contradicts nobody.
    """
    for dataset, contents in inputs["contents"].items():
        file = space.cache_file(name, dataset)
        if file.exists():
            with FeatureCache(file) as cache:
                if cache.complete and cache.fingerprint != contents:
                    return str(dataset)
    head = space.head_file(name)
    if "head" in inputs and head.exists() and digest_of(stored_head(head)) != inputs["head"]:
        return "its head"
    return None
