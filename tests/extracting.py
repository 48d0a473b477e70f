"""The tiny model extracted, what a cache holds, and a transform of one's own."""

from __future__ import annotations

from contextlib import contextmanager

import h5py
import numpy as np
import pytest
import torch

from moodbench.commands.extract import extract
from moodbench.features.cache import FeatureCache

KILLED = """
import os, sys, pathlib
from moodbench.commands.extract import extract
from moodbench.features.cache import FeatureCache
from moodbench.workspace import Workspace
import time, torch
torch.set_num_threads(1)
write = FeatureCache.write
def slow(*a):
    write(*a)
    print("row", flush=True)
    time.sleep(float(os.environ.get("PAUSE", 0.02)))
FeatureCache.write = slow
root, catalog, workers = sys.argv[1:]
root = pathlib.Path(root)
extract("tiny", dataset=["tiny_train"], batch_size=2, workers=int(workers),
        workspace=Workspace(root / "data", root / "cache", root / "results", (pathlib.Path(catalog),)))
"""
"""A process that extracts ID train of the tiny model slowly, and says `row` after each write."""


def run(space, **options):
    """Extract the tiny model's features of ID train, in batches of eight."""
    options = {"dataset": ["tiny_train"], "batch_size": 8, "workers": 0, **options}
    return extract("tiny", workspace=space, **options)


def arrays(file):
    """Return every array of a cache by its name."""
    with h5py.File(file, "r") as h5:
        return {name: h5[name][:] for name in h5}


def same(a, b):
    """Check that two caches hold the same arrays."""
    a, b = arrays(a), arrays(b)
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


class OfMyOwn:
    """A transform that is not moodbench's: it gives floats at once."""

    record = {"size": 8, "kind": "mine"}  # noqa: RUF012

    def __call__(self, image):
        return torch.tensor(np.asarray(image.resize((8, 8))), dtype=torch.float32).permute(2, 0, 1) / 300


@contextmanager
def stopped_after(count, size=lambda cache, start, *values: len(values[0])):
    """Let writing to caches raise `KeyboardInterrupt`, which must come, once more than `count` rows were to be written.

    `size` says what a call of `FeatureCache.write` counts for.
    """
    original, seen = FeatureCache.write, 0

    def stop(*call):
        nonlocal seen
        seen += size(*call)
        if seen > count:
            raise KeyboardInterrupt
        original(*call)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FeatureCache, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            yield
