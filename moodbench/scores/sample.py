"""A random sample of ID train rows, for detectors that cannot read them all."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.statistics import Statistic


@dataclass(frozen=True)
class Rows:
    """Some rows: features (n, D), logits (n, C) or None, labels (n,) or None."""

    features: Tensor
    logits: Tensor | None
    labels: Tensor | None


class Sample(Statistic[Rows]):
    """A random sample of `size` rows (all of them if there are fewer), without replacement.

    Each row gets a pseudo-random number made of its own bits, and the rows with the smallest numbers are the sample:
    it depends neither on the order of the rows nor on who saw them. Rows come out sorted by that number.
    """

    def __init__(self, size: int, *, logits: bool = False, labels: bool = False) -> None:
        self.size, self.logits, self.labels = size, logits, labels
        self._order: Tensor | None = None
        self._parts: list[Tensor | None] = []

    @property
    def key(self) -> Hashable:
        return ("sample", self.size, self.logits, self.labels)

    def update(self, block: Block) -> None:
        if len(block):
            logits, labels = block.logits if self.logits else None, block.labels if self.labels else None
            self._add(_priority(block.features), [block.features, logits, labels])

    def _add(self, order: Tensor, parts: list[Tensor | None]) -> None:
        if self._order is not None:
            if len(self._order) == self.size:  # only rows below the largest number kept can come in
                low = order < self._order[-1]
                order, parts = order[low], [None if part is None else part[low] for part in parts]
            if len(order) == 0:
                return
            order = torch.cat([self._order, order])
            pairs = zip(self._parts, parts, strict=True)
            parts = [None if old is None or new is None else torch.cat([old, new]) for old, new in pairs]
        self._order, kept = order.sort(stable=True)
        self._order, kept = self._order[: self.size], kept[: self.size]
        self._parts = [None if part is None else part.index_select(0, kept) for part in parts]

    def merge(self, other: Self) -> None:
        if other._order is not None:
            self._add(other._order, other._parts)

    def finalize(self) -> Rows:
        if self._order is None or self._parts[0] is None:
            raise ValueError("no rows were seen")
        return Rows(self._parts[0], self._parts[1], self._parts[2])


def chosen_rows(block: Block, share: float) -> Tensor:
    """Say which rows belong to a random share of all rows, (B,) bool; like a sample, by the rows' own bits."""
    return _priority(block.features) < int((2 * share - 1) * (1 << 63))


def _priority(features: Tensor) -> Tensor:
    """Return a pseudo-random int64 for each row, (B,), that depends on its bits alone."""
    bits = features.contiguous().view(torch.int32)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(-(1 << 31), 1 << 31, (features.shape[1],), generator=generator).to(bits) | 1
    mixed = (bits * weights).sum(dim=1)  # products overflow and wrap around, as in any multiplicative hash
    for factor in (0x2545F4914F6CDD1D, 0x61C8864680B583EB):
        mixed = (mixed ^ ((mixed >> 31) & _LOW_33_BITS)) * factor  # the mask makes the shift one without sign
    return mixed ^ ((mixed >> 31) & _LOW_33_BITS)


_LOW_33_BITS = (1 << 33) - 1
