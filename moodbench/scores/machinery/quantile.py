"""Exact quantiles over all N·D feature entries of ID train, in constant memory and two passes.

A float32 maps to a 32-bit integer with the same order. The first pass counts the upper 16 bits (65,536 bins, whatever
the data); that names the bin of every rank. The second pass counts the lower 16 bits of the entries in the one or two
bins that hold the wanted ranks. Both counts merge by addition, and the result is the exact order statistic, with the
linear interpolation that NumPy's `quantile` uses.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Hashable
from typing import Any, Self

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Statistic

_HALF = 1 << 16


def upper_bits(block: Block) -> Tensor:
    """Return the upper 16 bits of every feature entry, (B·D,) int16, computed once a block."""
    # the machine is little-endian, as everything that torch runs on
    return block.shared("upper_bits", lambda: block.features.contiguous().view(torch.int16).view(-1, 2)[:, 1].clone())


def value_of_bits(key: int) -> float:
    """Return the float32 value, as a Python float, that has the key `key`."""
    bits = key ^ 0x7FFFFFFF if key < 0 else key
    return float(torch.tensor([bits], dtype=torch.int32).view(torch.float32)[0])


class _Counts(Statistic[Tensor]):
    """65,536 counts of integers in [0, 65,536)."""

    def __init__(self) -> None:
        self._counts: Tensor | None = None

    def _add(self, counts: Tensor) -> None:
        self._counts = counts if self._counts is None else self._counts + counts

    def merge(self, other: Self) -> None:
        if other._counts is not None:
            self._add(other._counts)

    def finalize(self) -> Tensor:
        """Return the counts, (65536,) int64, on the CPU."""
        if self._counts is None:
            raise ValueError("no rows were seen")
        return self._counts.cpu()


class UpperBits(_Counts):
    """How many feature entries have which upper 16 bits."""

    key = "feature_upper_bits"

    def update(self, block: Block) -> None:
        counts = torch.bincount(upper_bits(block).int() + (_HALF >> 1), minlength=_HALF)
        # int16 has the negative ones (sign bit set) first, the largest in size last: turned around they rise
        self._add(torch.cat([counts[: _HALF >> 1].flip(0), counts[_HALF >> 1 :]]))


class LowerBits(_Counts):
    """How many feature entries with given upper bits have which lower 16 bits."""

    def __init__(self, upper: int) -> None:
        super().__init__()
        self.upper = upper

    @property
    def key(self) -> Hashable:
        return ("feature_lower_bits", self.upper)

    def update(self, block: Block) -> None:
        negative = self.upper < _HALF >> 1
        wanted = -1 - self.upper if negative else self.upper - (_HALF >> 1)
        places = (upper_bits(block) == wanted).nonzero()[:, 0]
        lower = block.features.contiguous().view(torch.int32).view(-1).index_select(0, places) & (_HALF - 1)
        self._add(torch.bincount(_HALF - 1 - lower if negative else lower, minlength=_HALF))


def entry_quantile(level: float) -> Generator[Statistic[Any] | tuple[Statistic[Any], ...], Any, float]:
    """Return (with ``yield from``, inside a fit) the quantile of all N·D feature entries at `level` in [0, 1].

    Equal to ``numpy.quantile(features, level)`` up to the rounding of its interpolation.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"a quantile's level lies in [0, 1], got {level}")
    upper: Tensor = yield UpperBits()
    ends = upper.cumsum(0)
    position = level * (int(ends[-1]) - 1)
    ranks = (math.floor(position), math.ceil(position))
    bins = [int(torch.searchsorted(ends, rank, right=True)) for rank in ranks]
    lower: tuple[Tensor, ...] = yield tuple(LowerBits(b) for b in bins)
    values = []
    for rank, upper_bin, counts in zip(ranks, bins, lower, strict=True):
        inside = rank - (int(ends[upper_bin - 1]) if upper_bin else 0)
        low = int(torch.searchsorted(counts.cumsum(0), inside, right=True))
        values.append(value_of_bits(((upper_bin - (_HALF >> 1)) << 16) + low))
    return values[0] + (values[1] - values[0]) * (position - ranks[0])
