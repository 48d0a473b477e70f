"""Caches of random rows, as earlier versions wrote them, and as another program changed and sealed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.features.seal import put_seal, read_seal


@contextmanager
def edited(file: Path) -> Iterator[Any]:
    """Change a cache in any way with h5py, and seal it again as it is then."""
    with file.open("rb") as stream:
        seal = read_seal(stream)
    assert seal is not None
    with h5py.File(file, "r+", locking=False) as h5:
        yield h5
        places = {name: (h5[name].id.get_offset(), h5[name].id.get_storage_size()) for name in h5}
    with file.open("r+b") as stream:
        put_seal(
            stream,
            free={name: place for name, place in places.items() if name in seal.free},
            parts={name: place for name, place in places.items() if name in seal.parts},
        )


def as_schema_1(file: Path) -> None:
    """Write a cache anew as versions before the seal did: no user block, no names of classes, no digest of a head."""
    with h5py.File(file, "r") as h5:
        arrays = {name: h5[name][:] for name in h5 if name != "classes"}
        attributes = {key: value for key, value in h5.attrs.items() if key != "head"}
        kinds = {name: h5[name].dtype for name in arrays}
    with h5py.File(file, "w", libver="earliest") as h5:
        for name, array in arrays.items():
            h5.create_dataset(name, data=array, dtype=kinds[name])
        for key, value in attributes.items():
            h5.attrs[key] = value
        h5.attrs["moodbench_schema"] = np.int64(1)


def make(file, rows=10, dim=4, classes=3, complete=True, seed=0):
    """Write a cache of random rows; return its features and logits."""
    rng = np.random.default_rng(seed)
    layout = Layout([f"bild ü/{i}.png" for i in range(rows)], np.arange(rows) % 3, dim, classes)
    create_cache(file, file.parent.name, file.stem, layout, {"source": "test", "batch_size": 4, "limit": None})
    features = rng.normal(size=(rows, dim)).astype(np.float32)
    logits = None if classes is None else rng.normal(size=(rows, classes)).astype(np.float32)
    with FeatureCache(file, write=True) as cache:
        cache.write(0, features, logits, np.full(rows, DONE, np.uint8))
        if complete:
            cache.finish()
    return features, logits
