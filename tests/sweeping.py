"""What tests of sweeps, wrong labels and tuning read: cached rows, and the mean of a score in results."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from moodbench.features.reader import RowReader
from moodbench.types import MEAN, Result
from moodbench.workspace import ModelName, Workspace


def arrays_of(space: Workspace, dataset: str, model: str = "net") -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of a cache."""
    (block,) = RowReader(space.cache_file(ModelName(model), dataset)).blocks(10_000)
    return block.features.copy(), block.labels.copy()


def mean_of(rows: Iterable[Result], score: str, params: str) -> Result:
    """Return the mean over all OOD datasets of a score with these parameters."""
    return next(row for row in rows if (row.score, row.params, row.ood, row.group) == (score, params, MEAN, "all"))
