"""Features divided by their length, which several scores compare directions with."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from moodbench.scores.block import Block

_TOGETHER = 128
"""Rows that are worked on in float64 at a time on a CPU, so that they stay in the cache."""


def unit_features(block: Block) -> Tensor:
    """Return x / ||x||, (B, D) float32, computed once a block; a row of zeros stays zero."""
    return block.shared("unit_features", lambda: unit_rows(block.features))


def exact_unit_features(block: Block) -> Tensor:
    """Return the same in float64: where all rows point nearly the same way, float32 rounds their differences away."""
    return block.shared("exact_unit_features", lambda: unit_rows(block.features.double()))


def unit_rows(rows: Tensor) -> Tensor:
    """Return the rows of a matrix divided by their Euclidean length; rows of zeros stay zero."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, torch.ones_like(lengths))


def centred_rows(rows: Tensor, centre: Tensor, *, unit: bool = False) -> Tensor:
    """Return x - m, or with `unit` x / ||x|| - m, (B, D) float32, for rows x (B, D) float32 and m (D,) float64.

    The difference is taken in float64, so it is exact to its own size, however far from zero rows and m lie.
    """
    result = torch.empty_like(rows)
    for some in pieces(rows):
        part = rows[some].double()
        if unit:
            lengths = torch.linalg.vector_norm(part, dim=1, keepdim=True)
            part.mul_(torch.where(lengths > 0, lengths, 1.0).reciprocal_())  # a quotient takes four times as long
        result[some] = part.sub_(centre)
    return result


def pieces(rows: Tensor) -> Iterator[slice]:
    """Yield slices that rows (B, D) are best worked on in float64 by: all at once but on a CPU."""
    step = _TOGETHER if rows.device.type == "cpu" else max(len(rows), 1)
    return (slice(start, start + step) for start in range(0, len(rows), step))
