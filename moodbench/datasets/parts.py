"""Datasets that are parts of others: their images lie in the folder of the whole, and came with it."""

from __future__ import annotations

from moodbench.catalog import Catalog, DatasetSpec


def whole_of(spec: DatasetSpec, catalog: Catalog) -> DatasetSpec:
    """Return the dataset that `spec` is a part of in the end: itself if it is a part of none."""
    while spec.part_of is not None:
        spec = catalog.dataset(spec.part_of)
    return spec
