"""Blocks of test rows, and the numbers that fitted scores give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.errors import CacheError
from moodbench.scores.base import Score
from moodbench.scores.block import Block, joined
from moodbench.scores.machinery.passes import failure
from moodbench.scores.machinery.returned import numbers
from moodbench.scores.machinery.written import is_own

LEAST = 64
"""Rows of the smallest block that is scored: a matrix product rounds a few rows otherwise than many, and with so many
the bits of a row no longer depend on how many others there are. Smaller blocks are filled up with their own rows."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """A block of rows of one test dataset."""

    dataset: str
    block: Block

    @property
    def rows(self) -> slice:
        """Where they are in the dataset."""
        return slice(self.block.start, self.block.start + len(self.block))


def found_of(
    scores: Mapping[str, Score],
    pieces: Sequence[Piece],
    failures: dict[str, str],
    tick: Callable[[float], object] = lambda rows: None,
) -> dict[str, Array]:
    """Return the numbers of each score for the rows of some pieces, one after the other, (rows,) float64.

    A score that fails is added to `failures`, with what the results say of it; those that are there are not asked.
    `tick` is told after each score which share of the rows that makes.

    Raises
    ------
    CacheError
        A memory bank cannot be read, which is no fault of a score.
    """
    block = joined([piece.block for piece in pieces])
    wide = widened(block)
    found: dict[str, Array] = {}
    with torch.inference_mode():
        for name, score in scores.items():
            if name not in failures:
                try:
                    if is_own(type(score)):
                        found[name] = numbers(score.score(wide), len(wide))[: len(block)]
                    else:
                        found[name] = np.concatenate([_apart(score, piece.block) for piece in pieces])
                except CacheError:
                    raise
                except (Exception, SystemExit) as error:  # a fault of one score must not cost the others
                    failures[name] = failure(error, score)
            tick(len(block) / len(scores))
    return found


def widened(block: Block) -> Block:
    """Return a block with its rows again and again behind them, if it has fewer than `LEAST`."""
    count = len(block)
    if not 0 < count < LEAST:
        return block
    return block.rows(torch.arange(LEAST, device=block.features.device) % count)


def logits_of(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return (B, C) logits of a head, as products of `LEAST` rows at least."""
    more = max(0, LEAST - len(features))
    rows = torch.cat([features, features.new_zeros(more, features.shape[1])]) if more else features
    return torch.addmm(bias, rows, weight.T)[: len(features)]


def gathered(pieces: Iterable[Piece], rows: int) -> Iterator[list[Piece]]:
    """Yield neighbours together, also of several datasets, as long as they are no more than so many rows."""
    some: list[Piece] = []
    for piece in pieces:
        if some and sum(len(each.block) for each in some) + len(piece.block) > rows:
            yield some
            some = []
        some.append(piece)
    if some:
        yield some


def share_out(found: Array, pieces: Sequence[Piece], values: Mapping[str, Array]) -> None:
    """Put the numbers of some pieces' rows, one after the other, where each dataset has its own."""
    begin = 0
    for piece in pieces:
        values[piece.dataset][piece.rows] = found[begin : begin + len(piece.block)]
        begin += len(piece.block)


def _apart(score: Score, block: Block) -> Array:
    return numbers(score.score(block.apart()), len(block))
