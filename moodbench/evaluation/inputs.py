"""What tells whether numbers are still of what lies in the caches. Without torch: reading them back takes none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from moodbench.features.cache import FeatureCache
from moodbench.features.heads import stored_head
from moodbench.results.made import ITS_HEAD
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace


def digest_of(head: Head) -> str:
    """Return SHA-256 in hex of a head with the names of its classes, and the texts that came with it."""
    texts = b"".join(kind.encode() + head.texts[kind].tobytes() for kind in sorted(head.texts))
    names = "\0".join(head.class_names or ()).encode("utf-8", "surrogateescape")
    return hashlib.sha256(head.weight.tobytes() + head.bias.tobytes() + names + texts).hexdigest()


def changed_since(space: Workspace, name: ModelName, inputs: Mapping[str, Any]) -> str | None:
    """Return a cache, or the head, that is another than `inputs` says; None if all are the same, or gone.

    What was removed to save room contradicts nobody.
    """
    return next(changes_since(space, name, inputs), None)


def changes_since(space: Workspace, name: ModelName, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield the datasets whose caches are others than `inputs` says, and `ITS_HEAD` if the head is."""
    for dataset, contents in inputs["contents"].items():
        if has_changed(space, name, dataset, contents):
            yield str(dataset)
    head = space.head_file(name)
    if "head" in inputs and head.exists() and digest_of(stored_head(head)) != inputs["head"]:
        yield ITS_HEAD


def has_changed(space: Workspace, name: ModelName, dataset: str, contents: str) -> bool:
    """Say whether there is a complete cache of a dataset with other contents.

    Raises
    ------
    CacheError
        It cannot be read.
    """
    file = space.cache_file(name, dataset)
    if not file.exists():
        return False
    with FeatureCache(file) as cache:
        return cache.complete and cache.fingerprint != contents
