"""Which pairs of rows have a large inner product, found with half the digits first.

Processors with instructions for it (AMX, AVX-512 BF16) multiply bfloat16 two to five times as fast as float32. What
rounding can do to an inner product is bounded, so that a coarse product finds all pairs that may be above a limit and
few others; those are then computed as usual. Nothing of what is found depends on whether the processor can do that.

The bound: with x' the rounded x, ``|x · y - x' · y'| <= |x - x'| |y| + |x'| |y - y'|`` (Cauchy–Schwarz), both factors
as they are and not as they could be at worst. The limit itself, and what is added to products, are further columns:
each a sum of three bfloat16 numbers, which hold the digits of a float32. The bound of a pair is a sum of products of
what is known of its rows, and so some columns more, rounded up. So a pair is chosen by the sign of a sum, which no
rounding of the result changes, and rows of very different lengths do not blur one another.
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

UP = 1 + 2.0**-6
"""What a number is multiplied with so that it is not less once it is rounded to bfloat16, nor is a product of two."""

_LEFT = (0, 0, 0, 1, 1, 2)
_RIGHT = (0, 1, 2, 0, 1, 0)
"""Which parts of two numbers are multiplied with one another; the rest is too small to matter."""


@dataclass(frozen=True, eq=False)
class Coarse:
    """One side of a product of rows, in bfloat16.

    Attributes
    ----------
    columns : (n, W) bfloat16
        The rows, then the parts of what is added, then what bounds the rounding, then room for the parts of a limit.
    finite : bool
        Whether all of that is.
    """

    columns: Tensor
    finite: bool

    def some(self, rows: slice) -> Coarse:
        """Return some of the rows."""
        return Coarse(self.columns[rows], self.finite)


def left_side(rows: Tensor, *factors: Tensor) -> Coarse:
    """Return rows (n, D) float32 as the left side of products, to which products of `factors` (n,) are added."""
    rounded, length, lost = _rounded(rows)
    parts = [_parts(factor)[:, list(_LEFT)] for factor in factors]
    sums = ROUNDING * _width(rows, factors)
    slack = _upwards([lost + sums * length, length + lost, *(sums * factor.abs() for factor in factors)])
    limit = rounded.new_zeros((len(rows), PARTS))
    return Coarse(torch.cat([rounded, *parts, slack, limit], 1), bool(torch.isfinite(slack).all()))


def right_side(rows: Tensor, *factors: Tensor) -> Coarse:
    """Return rows (n, D) float32 as the right side of products, with a factor (n,) for each of those on the left."""
    rounded, length, lost = _rounded(rows)
    parts = [_parts(factor)[:, list(_RIGHT)] for factor in factors]
    slack = _upwards([length, lost, *(factor.abs() for factor in factors)])
    limit = rounded.new_ones((len(rows), PARTS))
    return Coarse(torch.cat([rounded, *parts, slack, limit], 1), bool(torch.isfinite(slack).all()))


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows in bfloat16, their lengths, and how long what rounding took from them is, (n,) float64 both."""
    rounded = rows.bfloat16()
    lost = torch.linalg.vector_norm(rows - rounded.float(), dim=1)
    return rounded, torch.linalg.vector_norm(rows, dim=1).double(), lost.double()


def _width(rows: Tensor, factors: Sequence[Tensor]) -> int:
    return rows.shape[1] + len(factors) * (len(_LEFT) + 1) + 2 + PARTS


def _upwards(numbers: Sequence[Tensor]) -> Tensor:
    """Return numbers (n,), none of them negative, as columns (n, T) bfloat16 that are not less."""
    return (UP * torch.stack([number.double() for number in numbers], 1)).bfloat16()


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
    left : n rows
    right : K rows
    limits : (n,)

    Returns
    -------
    (p,) int64, (p,) int64
        The row on the left, rising, and that on the right; None where there are many, or a bound is not finite.
    """
    width = left.columns.shape[1]
    least = limits.double() - ROUNDING * width * limits.double().abs() - width * torch.finfo(torch.float32).tiny
    if not (left.finite and right.finite and bool(torch.isfinite(least).all())):
        return None
    columns = left.columns.clone()
    columns[:, -PARTS:] = _parts(-least)
    row, column = signless_places(columns @ right.columns.T)
    return None if len(row) > MANY * len(left.columns) * len(right.columns) else (row, column)


def pays(rows: Tensor) -> bool:
    """Say whether coarse products with these rows are faster than usual ones."""
    return rows.device.type == "cpu" and rows.shape[1] >= WIDE and _multiplies_bfloat16()


@lru_cache
def _multiplies_bfloat16() -> bool:
    asked = (getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("amx_tile", "avx512_bf16"))
    return torch._C._has_mkldnn and any(ask is not None and ask() for ask in asked)


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
