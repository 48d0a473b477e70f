"""Some features of the ID and OOD test rows of a model, out of its caches, as pictures are given them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError, CacheMismatchError, UsageError
from moodbench.evaluation.inputs import changed_since
from moodbench.evaluation.kept import LackingError, kept_rows, run_again
from moodbench.features.imported import refuse_without_features
from moodbench.features.reader import RowReader
from moodbench.features.rowscores import ID, OOD, SIDE, place_of
from moodbench.plots.given import Features
from moodbench.results import read_provenance
from moodbench.workspace import ModelName, Workspace

BLOCK = 2048


def features_of(space: Workspace, benchmark: str, model: str, oods: Sequence[str], most: int) -> Features:
    """Return at most so many rows of each dataset, spread evenly, of the caches that the results were made from.

    Raises
    ------
    CacheError
        A cache is gone, damaged, or another than the results were made from.
    UsageError
        Each class in turn is ID, so that no row is one or the other.
    ResultsError
        Some classes are ID, and there are no row scores that say which rows are.
    """
    name = ModelName.parse(model)
    inputs = read_provenance(space.results_file(benchmark, name)).get("inputs", {})
    roles = inputs.get("benchmark", {})
    classes = roles.get("classes")
    if isinstance(classes, dict):
        raise UsageError(f"on '{benchmark}' each class in turn is ID: there are no ID and OOD features to draw")
    for dataset in (*roles["id_test"], *oods):
        if not space.cache_file(name, dataset).exists():
            raise CacheError(
                f"the features of '{model}' on '{dataset}' are gone",
                file=space.cache_file(name, dataset),
                fix="make the cache again with moodbench extract or moodbench import",
            )
    changed = changed_since(space, name, inputs)
    if changed is not None and changed != "its head":
        raise CacheMismatchError(
            f"the cache of '{changed}' is another than the results of '{model}' were made from",
            file=space.cache_file(name, changed),
            fix=f"moodbench score --benchmark {benchmark} --model {model}",
        )

    def some(dataset: str, side: int) -> NDArray[np.float32]:
        reader = RowReader(space.cache_file(name, dataset))
        refuse_without_features(reader.file, reader.provenance)
        return _spread(reader, _chosen(space, benchmark, model, dataset, side) if classes else None, most)

    return Features(
        np.concatenate([some(dataset, ID) for dataset in roles["id_test"]]), {name: some(name, OOD) for name in oods}
    )


def _chosen(space: Workspace, benchmark: str, model: str, dataset: str, side: int) -> NDArray[np.bool_]:
    try:
        kept = kept_rows(space, benchmark, model).kept
    except LackingError as error:
        raise run_again(space, benchmark, {model: str(error)}) from None
    chosen: NDArray[np.bool_] = kept.arrays[f"{place_of(dataset)}/{SIDE}"] == side
    return chosen


def _spread(reader: RowReader, chosen: NDArray[np.bool_] | None, most: int) -> NDArray[np.float32]:
    rows = np.arange(reader.rows) if chosen is None else np.flatnonzero(chosen)
    rows = rows[np.arange(min(most, rows.size)) * rows.size // max(min(most, rows.size), 1)]

    def parts() -> Iterator[NDArray[np.float32]]:
        seen = 0
        for block in reader.blocks(BLOCK, logits=False):
            first, last = np.searchsorted(rows, (seen, seen + len(block.labels)))
            yield block.features[rows[first:last] - seen]
            seen += len(block.labels)

    return np.concatenate(list(parts()))
