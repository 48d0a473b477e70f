"""The memory bank: rows against every ID train row, exact, streaming, in one walk over the bank for all scores.

A score joins the bank while it is fitted. The first that asks for a block starts a walk: block by block of ID train,
some of the rows at a time, so that what is compared stays in the processor's cache. What several scores want of a
meeting, the cosines above all, is computed once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor

from moodbench.scores.base import Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.vectorised import larger, places, sorted_rows

TOGETHER = 512
"""Rows that meet a block of the bank at once."""


class Meeting:
    """Some rows of a block, (b,), and a block of the bank, (K,).

    Attributes
    ----------
    rows : slice
        Of the block.
    block, stored : Block
    """

    def __init__(self, block: Block, rows: slice, stored: Block, directions: Directions | None) -> None:
        self.block, self.rows, self.stored = block, rows, stored
        self._directions = directions

    @cached_property
    def relative(self) -> Tensor:
        """Cosines, less what all of a row have in common (`Directions.own`), (b, K) float32."""
        if self._directions is None:
            raise LookupError("no score gave the bank its directions")
        others = self._directions.of(self.stored)
        return torch.addmm(-others.halves.float(), self._directions.ways(self.block)[self.rows], others.ways.T)


class Guest(ABC):
    """What a score keeps of one block while the bank walks by."""

    @abstractmethod
    def meet(self, meeting: Meeting) -> None:
        """Take note of some rows and a block of the bank; for each block of the bank, all rows come in order."""

    @abstractmethod
    def leave(self) -> Tensor:
        """Return what was found, (B, …)."""


class Bank:
    """All ID train rows, as one walk over them for the scores that joined."""

    def __init__(self, train: Train) -> None:
        self._train = train
        self._invited: list[Callable[[Block], Guest]] = []
        self._faults: dict[int, Exception] = {}
        self.directions: Directions | None = None

    def join(self, invite: Callable[[Block], Guest]) -> int:
        """Announce that blocks will be asked about; `invite` starts with one. Return the place to ask for in `of`."""
        self._invited.append(invite)
        return len(self._invited) - 1

    def of(self, place: int, block: Block) -> Tensor:
        """Return what the guest at a place found for a block."""
        found = block.shared(("bank", place), lambda: self._walk(block, place))
        if place in self._faults:
            raise self._faults[place]
        return found

    def _walk(self, block: Block, place: int) -> Tensor:
        guests = {i: invite(block) for i, invite in enumerate(self._invited) if i not in self._faults}
        for stored in self._train.bank():
            for start in range(0, len(block), TOGETHER):
                meeting = Meeting(block, slice(start, start + TOGETHER), stored, self.directions)
                for i, guest in guests.items():
                    if i not in self._faults:
                        try:
                            guest.meet(meeting)
                        except Exception as error:  # a fault of one score must not cost the others
                            self._faults[i] = error
        found = {i: guest.leave() for i, guest in guests.items() if i not in self._faults}
        for i, values in found.items():
            if i != place:
                block.shared(("bank", i), partial(_itself, values))
        return found.get(place, block.features.new_empty(0))


def _itself(values: Tensor) -> Tensor:
    return values


def bank_of(train: Train, mean: Tensor | None = None) -> Bank:
    """Return the bank that all scores of a fit share; with `mean`, of the unit rows of ID train, it has cosines."""
    bank = train.shared("bank", lambda: Bank(train))
    if mean is not None and bank.directions is None:
        bank.directions = Directions(mean)
    return bank


class Largest:
    """The k largest of the numbers that rows are shown, (b, k) descending; fewer while fewer were shown."""

    def __init__(self, k: int) -> None:
        self._k = k
        self.best: Tensor | None = None

    def add(self, values: Tensor) -> None:
        """Show every row further numbers, (b, K)."""
        if self.best is None:
            self.best = values.topk(min(self._k, values.shape[1]), dim=1).values
            return
        best = self.best
        if best.shape[1] == self._k:
            row, column = places(larger(values, best[:, -1:]))
            if not len(row):
                return
            count = torch.bincount(row, minlength=len(values))
            most = int(count.max())
            if 8 * most < values.shape[1]:
                values = _packed(values, row, column, count)
            elif most < self._k:
                values = values.topk(most, dim=1, sorted=False).values
        joined = torch.cat([best, values], dim=1)
        self.best = sorted_rows(joined)[:, -min(self._k, joined.shape[1]) :].flip(1)


def _packed(values: Tensor, row: Tensor, column: Tensor, count: Tensor) -> Tensor:
    """Return the numbers at some places, `count` of each row, (b, max(count)), and -inf where a row has fewer."""
    first = (count.cumsum(0) - count).index_select(0, row)
    packed = values.new_full((len(values), int(count.max())), -torch.inf)
    packed[row, torch.arange(len(row), device=row.device) - first] = values[row, column]
    return packed
