"""Which pairs of rows have a large inner product, found with half the digits first.

Processors with matrix units (Intel's AMX) multiply bfloat16 several times faster than float32. What rounding can do to
an inner product is bounded, so that a coarse product finds all pairs that may be above a limit and few others; those
are then computed as usual. Nothing of what is found depends on whether the processor can do that.

The bound: with x' the rounded x, ``|x · y - x' · y'| <= |x - x'| |y| + |x'| |y - y'|`` (Cauchy–Schwarz), both factors
as they are and not as they could be at worst. The limit itself, and what is added to products, are further columns:
each a sum of three bfloat16 numbers, which hold the digits of a float32. So a pair is chosen by the sign of a sum,
which no rounding of the result changes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from moodbench.scores.machinery.vectorised import signless_places

PARTS = 3
"""bfloat16 numbers that hold a float32."""

WIDE = 128
"""Columns from which coarse products pay."""

MANY = 1 / 16
"""With a larger share of pairs than this above the limit, the usual product is faster."""

SOME = 512
"""Pairs whose rows are copied at once where products cannot be taken where the rows lie."""

ROUNDING = 2.0**-23
"""Of float32, twice the unit: what a product and what it is compared with may lose for each column."""

_LEFT = (0, 0, 0, 1, 1, 2)
_RIGHT = (0, 1, 2, 0, 1, 0)
"""Which parts of two numbers are multiplied with one another; the rest is too small to matter."""


@dataclass(frozen=True, eq=False)
class Coarse:
    """One side of a product of rows, in bfloat16.

    Attributes
    ----------
    columns : (n, W) bfloat16
        The rows, then the parts of what is added, then room for the parts of a limit.
    length, lost : (n,) float32
        Of each row, and of what rounding took from it.
    added : (n, T) float32
        The factors of what is added, as they were given.
    """

    columns: Tensor
    length: Tensor
    lost: Tensor
    added: Tensor

    def some(self, rows: slice) -> Coarse:
        """Return some of the rows."""
        return Coarse(self.columns[rows], self.length[rows], self.lost[rows], self.added[rows])


def left_side(rows: Tensor, *factors: Tensor) -> Coarse:
    """Return rows (n, D) float32 as the left side of products, to which products of `factors` (n,) are added."""
    return _side(rows, factors, _LEFT, 0.0)


def right_side(rows: Tensor, *factors: Tensor) -> Coarse:
    """Return rows (n, D) float32 as the right side of products, with a factor (n,) for each of those on the left."""
    return _side(rows, factors, _RIGHT, 1.0)


def _side(rows: Tensor, factors: Sequence[Tensor], which: Sequence[int], room: float) -> Coarse:
    rounded = rows.bfloat16()
    lost = torch.linalg.vector_norm(rows - rounded.float(), dim=1)
    parts = [_parts(factor)[:, list(which)] for factor in factors]
    limit = rounded.new_full((len(rows), PARTS), room)
    added = torch.stack([factor.float() for factor in factors], 1) if factors else rows.new_zeros((len(rows), 0))
    return Coarse(torch.cat([rounded, *parts, limit], 1), torch.linalg.vector_norm(rows, dim=1), lost, added)


def _parts(numbers: Tensor) -> Tensor:
    """Return numbers (n,) as sums of bfloat16, (n, PARTS)."""
    rest = numbers.double()
    parts = []
    for _ in range(PARTS):
        parts.append(rest.bfloat16())
        rest = rest - parts[-1].double()
    return torch.stack(parts, 1)


def pairs_above(left: Coarse, right: Coarse, limits: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return all pairs whose product with what is added may be above the limit of the left row, and few others.

    Parameters
    ----------
    left : (n, W)
    right : (K, W)
    limits : (n,)

    Returns
    -------
    (p,) int64, (p,) int64
        The row on the left, rising, and that on the right; None where there are many, or a bound is not finite.
    """
    longest, loses = right.length.max(), right.lost.max()
    size = left.length * longest + left.added.abs() @ right.added.abs().amax(0) + limits.abs()
    slack = left.lost * longest + (left.length + left.lost) * loses + ROUNDING * left.columns.shape[1] * size
    least = limits.double() - slack.double() - torch.finfo(torch.float32).tiny
    if not bool(torch.isfinite(least).all()):
        return None
    columns = left.columns.clone()
    columns[:, -PARTS:] = _parts(-least)
    row, column = signless_places(columns @ right.columns.T)
    return None if len(row) > MANY * len(left.columns) * len(right.columns) else (row, column)


def pays(rows: Tensor) -> bool:
    """Say whether coarse products with these rows are faster than usual ones."""
    return rows.device.type == "cpu" and rows.shape[1] >= WIDE and _has_matrix_unit()


@lru_cache
def _has_matrix_unit() -> bool:
    asked = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return asked is not None and bool(asked()) and torch._C._has_mkldnn


def dots(left: Tensor, right: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return the inner products of pairs of rows, (p,) float32.

    Parameters
    ----------
    left : (n, D) float32
    right : (K, D) float32
    row, column : (p,) int64
        The pairs, by rising row. Each product is the same whatever the others are.
    """
    if left.device.type == "cpu" and _can_sample():
        return _sampled(left, right, row, column)
    some = zip(torch.split(row, SOME), torch.split(column, SOME), strict=True)
    products = [torch.linalg.vecdot(left.index_select(0, a), right.index_select(0, b)) for a, b in some]
    return torch.cat(products) if products else left.new_empty(0)


def _sampled(left: Tensor, right: Tensor, row: Tensor, column: Tensor) -> Tensor:
    begin = row.new_zeros(len(left) + 1)
    begin[1:] = torch.bincount(row, minlength=len(left)).cumsum(0)
    zeros = left.new_zeros(len(row))
    wanted = torch.sparse_csr_tensor(begin, column, zeros, (len(left), len(right)), check_invariants=False)
    products: Tensor = torch.sparse.sampled_addmm(wanted, left, right.T, beta=0.0).values()
    return products


@lru_cache
def _can_sample() -> bool:
    """Say whether this build of PyTorch multiplies single pairs of rows where they lie."""
    one, first = torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # once in a process it says that sparse rows are new
        try:
            return bool(_sampled(one, one, first, first) == 1.0)
        except RuntimeError:
            return False
