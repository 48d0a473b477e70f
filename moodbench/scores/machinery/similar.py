"""The most similar ID train rows: the largest cosines, or cosines times a weight of the ID train row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import TOGETHER, Bank, Guest, Largest, Meeting, Visit, large_pairs
from moodbench.scores.machinery.coarse import ROUNDING, Coarse, left_side, pairs_above, pays, right_side


class MostSimilar(Guest):
    """The `k` largest cosines of every row with the rows of a bank, (B, k) float64 descending.

    With `weigh`, which gives rows of the bank a weight each, (K,) float32, the largest products of cosine and weight,
    float32.
    """

    def __init__(self, k: int, bank: Bank, block: Block, weigh: Callable[[Block], Tensor] | None = None) -> None:
        if bank.directions is None:
            raise LookupError("no score gave the bank its directions")
        self._directions, self._weigh = bank.directions, weigh
        self._own = bank.directions.own(block)
        self._largest = [Largest(k) for _ in range(0, len(block), TOGETHER)]
        self._left: Coarse | None = None
        if pays(block.features):
            ones = torch.ones_like(self._own)
            added = (ones,) if weigh is None else (ones, self._own)
            self._left = left_side(bank.directions.ways(block), *added)

    def facing(self, stored: Block) -> Visit:
        weights = None if self._weigh is None else self._weigh(stored)
        return partial(self._meet, None if self._left is None else self._right(stored, weights), weights)

    def _right(self, stored: Block, weights: Tensor | None) -> Coarse:
        fan = self._directions.of(stored)
        if weights is None:
            return right_side(fan.ways, -fan.halves)
        return right_side(fan.ways * weights[:, None], -fan.halves * weights, weights)

    def _meet(self, right: Coarse | None, weights: Tensor | None, meeting: Meeting) -> None:
        largest, own = self._largest[meeting.rows.start // TOGETHER], self._own[meeting.rows].float()
        pairs = None
        if self._left is not None and right is not None and largest.limits is not None and not meeting.compared:
            pairs = pairs_above(self._left.some(meeting.rows), right, largest.limits)
        if pairs is None and weights is None:
            pairs = large_pairs(meeting.relative, largest.limits, largest.k, meeting.margin)
        elif pairs is None and weights is not None:
            weighed = (meeting.relative + own[:, None]).mul_(weights)
            lost = (meeting.margin + 2 * ROUNDING) * weights.abs().max()
            pairs = large_pairs(weighed, largest.limits, largest.k, lost)
        assert pairs is not None
        values = meeting.cosines(*pairs)
        if weights is not None:
            values = (values + own.index_select(0, pairs[0])) * weights.index_select(0, pairs[1])
        largest.add(pairs[0], values, len(own))

    def leave(self) -> Tensor:
        found = torch.cat([some.best for some in self._largest if some.best is not None])
        return found if self._weigh is not None else found.double() + self._own[:, None]
