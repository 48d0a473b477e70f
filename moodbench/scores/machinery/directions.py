"""Directions of rows about their mean, so that cosines do not cancel where all rows point nearly the same way.

Features with one large entry that all rows share, as transformers have them, or far from zero as a whole, have cosines
of 0.999 and more with one another: in float32 little is left of what tells them apart. With z = x / ||x|| and m the
mean of z over ID train, cos(x, y) is 1 - h(x) - h(y) + (z_x - m) · (z_y - m), with h = ||z - m||^2 / 2 (and 1/2 more
for a row of zeros, whose cosines are 0). These numbers are as small as the differences of the cosines.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.unit import centred_rows, unit_rows


@dataclass(frozen=True, eq=False)
class Fan:
    """Directions to compare rows with.

    Attributes
    ----------
    ways : (K, D) float32
        z - m of each.
    halves : (K,) float64
        h of each.
    """

    ways: Tensor
    halves: Tensor

    def __len__(self) -> int:
        return len(self.halves)


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions relative to the mean of the unit rows of ID train, (D,) float64, as `UnitMean` has it."""

    mean: Tensor

    def ways(self, block: Block) -> Tensor:
        """Return z - m, (B, D) float32, with z the unit row; a row of zeros has z = 0."""
        return block.shared("directions", lambda: centred_rows(block.features, self.mean, unit=True))

    def of(self, block: Block) -> Fan:
        """Return the directions of a block of rows."""
        ways = self.ways(block)
        return Fan(ways, block.shared("halves_of_directions", lambda: _halves(ways, _is_zero(block.features))))

    def fan(self, rows: Tensor) -> Fan:
        """Return the directions of rows (K, D) float64."""
        ways = (unit_rows(rows) - self.mean).float()
        return Fan(ways, _halves(ways, _is_zero(rows)))

    def own(self, block: Block) -> Tensor:
        """Return what all cosines of a row have in common, 1 - h(x), (B,) float64."""
        return 1.0 - self.of(block).halves

    def relative(self, block: Block, others: Fan) -> Tensor:
        """Return the cosines of rows with `others`, less what a row's have in common (`own`), (B, K) float32."""
        return product(self.ways(block), others.ways.T, -others.halves.float())


def _halves(ways: Tensor, zero: Tensor) -> Tensor:
    return (ways.square().sum(dim=1, dtype=torch.float64) + zero) / 2


def _is_zero(rows: Tensor) -> Tensor:
    return rows.abs().amax(dim=1) == 0
