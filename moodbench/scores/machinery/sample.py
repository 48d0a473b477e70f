"""A random sample of ID train rows, for detectors that cannot read them all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Statistic


@dataclass(frozen=True)
class Rows:
    """Some rows: features (n, D), logits (n, C) or None, labels (n,) or None."""

    features: Tensor
    logits: Tensor | None
    labels: Tensor | None


class Sample(Statistic[Rows]):
    """A random sample of `size` rows (all of them if there are fewer), without replacement.

    Each row gets a pseudo-random number made of its own bits, and the rows with the smallest numbers are the sample:
    it depends neither on the order of the rows nor on who saw them. Rows come out sorted by that number. Another
    `seed` gives other numbers.
    """

    def __init__(self, size: int, *, seed: int = 0, logits: bool = False, labels: bool = False) -> None:
        self.size, self.seed, self.logits, self.labels = size, seed, logits, labels
        self._orders: list[Tensor] = []  # of the rows kept so far, in pieces: they are thinned out now and then
        self._pieces: list[list[Tensor | None]] = []
        self._kept = 0
        self._limit = torch.iinfo(torch.int64).max  # rows with larger numbers cannot be in the sample any more

    @property
    def key(self) -> Hashable:
        return ("sample", self.size, self.seed, self.logits, self.labels)

    def update(self, block: Block) -> None:
        if len(block):
            logits, labels = block.logits if self.logits else None, block.labels if self.labels else None
            self._add(priority(block, self.seed), [block.features, logits, labels])

    def _add(self, order: Tensor, parts: list[Tensor | None]) -> None:
        low = (order <= self._limit).nonzero()[:, 0]
        if len(low):
            self._orders.append(order.index_select(0, low))
            self._pieces.append([None if part is None else part.index_select(0, low) for part in parts])
            self._kept += len(low)
        if self._kept > 2 * self.size:
            self._thin_out()

    def _thin_out(self) -> None:
        """Keep the rows with the smallest numbers, sorted by them, in one piece."""
        order, kept = torch.cat(self._orders).sort(stable=True)
        self._orders, kept = [order[: self.size]], kept[: self.size]
        columns = zip(*self._pieces, strict=True)
        self._pieces = [[_chosen(column, kept) for column in columns]]
        self._kept = len(kept)
        if self._kept == self.size:
            self._limit = int(self._orders[0][-1])

    def merge(self, other: Self) -> None:
        for order, parts in zip(other._orders, other._pieces, strict=True):
            self._add(order, parts)

    def finalize(self) -> Rows:
        if not self._orders:
            raise ValueError("no rows were seen")
        self._thin_out()
        features, logits, labels = self._pieces[0]
        if features is None:
            raise ValueError("the sample has no features")
        return Rows(features, logits, labels)


def _chosen(pieces: Sequence[Tensor | None], rows: Tensor) -> Tensor | None:
    known = [piece for piece in pieces if piece is not None]
    return torch.cat(known).index_select(0, rows) if known else None


def chosen_rows(block: Block, share: float, seed: int = 0) -> Tensor:
    """Say which rows belong to a random share of all rows, (B,) bool; like a sample, by the rows' own bits."""
    return priority(block, seed) < int((2 * share - 1) * (1 << 63))


def priority(block: Block, seed: int = 0) -> Tensor:
    """Return a pseudo-random int64 for each row, (B,), that depends on its bits and the seed; computed once a block."""
    return block.shared(("priority", seed), lambda: _priority(block.features, seed))


def _priority(features: Tensor, seed: int) -> Tensor:
    bits = features.contiguous().view(torch.int32)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(-(1 << 31), 1 << 31, (features.shape[1],), generator=generator).to(bits) | 1
    mixed = (bits * weights).sum(dim=1)  # products overflow and wrap around, as in any multiplicative hash
    for factor in (0x2545F4914F6CDD1D, 0x61C8864680B583EB):
        mixed = (mixed ^ ((mixed >> 31) & _LOW_33_BITS)) * factor  # the mask makes the shift one without sign
    return mixed ^ ((mixed >> 31) & _LOW_33_BITS)


_LOW_33_BITS = (1 << 33) - 1
