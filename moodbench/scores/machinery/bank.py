"""The memory bank: a row against every ID train row, exact, streaming, and one walk over the bank for all scores."""

from __future__ import annotations

import torch
from torch import Tensor

from moodbench.scores.base import Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.directions import Directions


class NearestCosines:
    """The largest cosines of a row with the ID train rows.

    Scores say with `ask` how many they want before anything is scored; a block is then compared with the bank once, for
    the most that was asked for.
    """

    def __init__(self, train: Train, directions: Directions) -> None:
        self._train = train
        self._directions = directions
        self._wanted = 1

    def ask(self, k: int) -> None:
        """Announce that a score will want the `k` largest."""
        self._wanted = max(self._wanted, k)

    def of(self, block: Block) -> Tensor:
        """Return the largest cosines, descending, (B, k) float64; k is at least what was asked for, rows permitting."""
        return block.shared("nearest_cosines", lambda: self._walk(block))

    def _walk(self, block: Block) -> Tensor:
        best = block.features.new_empty(len(block), 0)
        for rows in self._train.bank():
            cosines = self._directions.relative(block, self._directions.of(rows))
            width = min(self._wanted, best.shape[1] + len(rows))
            if best.shape[1] == self._wanted:
                # few rows of a block still enter: look at no more of them than the row with the most gains
                entering = int((cosines > best[:, -1:]).sum(dim=1).max())
                if entering == 0:
                    continue
                cosines = cosines.topk(min(entering, self._wanted), dim=1, sorted=False).values
            best = torch.cat([best, cosines], dim=1).topk(width, dim=1).values
        return best.double().add_(self._directions.own(block)[:, None])


def nearest_cosines(train: Train, mean: Tensor, k: int) -> NearestCosines:
    """Return what all scores of this fit share to look rows up in the bank, and announce `k`.

    `mean` is that of the unit rows of ID train.
    """
    cosines = train.shared("nearest_cosines", lambda: NearestCosines(train, Directions(mean)))
    cosines.ask(k)
    return cosines
