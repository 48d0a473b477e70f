"""Scores whose number of an image depends on the other test images: they meet a stream of them, in an order.

A stream is what their papers test on: all rows of ID test and of one OOD dataset, mixed at random. The engine makes one
for each OOD dataset (`moodbench.evaluation.streams`), so an ID row has a number for each of these.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.scores.base import Need, Score
from moodbench.scores.block import Block


@dataclass(frozen=True)
class Batch:
    """Rows of a stream that come together.

    Attributes
    ----------
    block : Block
        Which of the rows are ID it does not say: labels are -1.
    alone : (B,) float64
        What `score` says of each row.
    """

    block: Block
    alone: Tensor


@dataclass
class OverStream(Score):
    """A transductive score: `score` says what a row has by itself, `stream` goes on from there.

    Parameters
    ----------
    batch : int, default=256
        Rows that come together; the last batch of a stream has what is left.
    seed : int, default=0
        Of the order of the stream.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"stream"})

    batch: int = 256
    seed: int = 0

    def score(self, block: Block) -> Tensor:
        """Return what a row has by itself, (B,) floats, which is the same in every stream; 0 by default."""
        return torch.zeros(len(block), device=block.features.device)

    @abstractmethod
    def stream(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        """Yield the scores of each batch, (B,) floats, higher = more in-distribution, before the next is asked for.

        What is learned from the stream is kept in local variables: the score itself stays as it is, and every stream
        begins anew.
        """
