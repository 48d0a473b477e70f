"""The labelled rows of a cache, in batches on a device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.features.reader import RowReader


class LabelledRows:
    """Those rows of a cache that are chosen and have a label; calling it starts a pass over them.

    Attributes
    ----------
    reader : RowReader
    labels : (rows,) int64
        None of them negative.
    rows : int
    """

    def __init__(
        self, reader: RowReader, device: torch.device, *, chosen: NDArray[np.bool_] | None = None, block: int = 2048
    ) -> None:
        """Take the rows that are `chosen`, (reader.rows,) bool; by default all of them."""
        self.reader, self.device, self.block = reader, device, block
        self._mask = (reader.labels >= 0) if chosen is None else chosen & (reader.labels >= 0)
        self.labels = reader.labels[self._mask]
        self.rows = len(self.labels)

    def __call__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features (B, D) float32, free to be overwritten, and labels (B,) int64."""
        start = 0
        for rows in self.reader.blocks(self.block, logits=False):
            mask = self._mask[start : start + len(rows.labels)]
            start += len(rows.labels)
            if mask.any():
                whole = mask.all()
                features, labels = (rows.features, rows.labels) if whole else (rows.features[mask], rows.labels[mask])
                yield torch.from_numpy(features).to(self.device), torch.from_numpy(labels).to(self.device)


def every_nth(rows: int, nth: int) -> NDArray[np.bool_]:
    """Return which rows are the last of each `nth`, (rows,) bool."""
    last: NDArray[np.bool_] = np.arange(rows) % nth == nth - 1
    return last
