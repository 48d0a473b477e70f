"""The memory bank: rows against every ID train row, exact, streaming, in one walk over the bank for all scores.

A score joins the bank while it is fitted. The first that asks for a block starts a walk: block by block of ID train,
some of the rows at a time, so that what is compared stays in the processor's cache. What several scores want of a
meeting, the cosines above all, is computed once. Most scores want only the largest: pairs that may be among them are
found first, and their cosines computed pair by pair, so that no number depends on the rows it came with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from moodbench.scores.base import Train
from moodbench.scores.block import TINY, Block
from moodbench.scores.machinery.coarse import ROUNDING, dots
from moodbench.scores.machinery.crew import Crew
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.vectorised import larger, places, sorted_rows

TOGETHER = 512
"""Rows that meet a block of the bank at once."""


class Meeting:
    """Some rows of a block, (b,), and a block of the bank, (K,).

    Cosines are meant less what all of a row have in common (`Directions.own`).

    Attributes
    ----------
    rows : slice
        Of the block.
    block, stored : Block
    """

    def __init__(self, block: Block, rows: slice, stored: Block, directions: Directions | None) -> None:
        self.block, self.rows, self.stored = block, rows, stored
        self._given = directions
        self._relative: Tensor | None = None

    @property
    def _directions(self) -> Directions:
        if self._given is None:
            raise LookupError("no score gave the bank its directions")
        return self._given

    @property
    def relative(self) -> Tensor:
        """Cosines of all pairs, (b, K) float32."""
        if self._relative is None:
            others = self._directions.of(self.stored)
            ways = self._directions.ways(self.block)[self.rows]
            self._relative = product(ways, others.ways.T, -others.halves.float())
        return self._relative

    @property
    def compared(self) -> bool:
        """Whether `relative` has been computed."""
        return self._relative is not None

    @property
    def margin(self) -> Tensor:
        """What rounding can make of the cosines in `relative`, (b,) float32."""
        mine, others = self._directions.of(self.block), self._directions.of(self.stored)
        largest = others.halves.max()
        lengths = (2 * mine.halves[self.rows]).sqrt() * (2 * largest).sqrt()
        return margin(mine.ways.shape[1], lengths + largest)

    def cosines(self, row: Tensor, column: Tensor) -> Tensor:
        """Return the cosines of some pairs, (p,) float32, by rising row; of each the same whatever the others are."""
        others = self._directions.of(self.stored)
        products = dots(self._directions.ways(self.block)[self.rows], others.ways, row, column)
        return products - others.halves.float().index_select(0, column)


Visit = Callable[[Meeting], None]
"""Takes note of some rows and a block of the bank."""


class Guest(ABC):
    """What a score keeps of one block while the bank walks by."""

    @abstractmethod
    def facing(self, stored: Block) -> Visit:
        """Return what some rows do when they meet a block of the bank. Other rows may do so at the same time.

        The next block may be faced before all rows have met this one: what belongs to it is kept in what is returned.
        """

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
        if self.directions is not None:
            self.directions.of(block)
        guests = {i: invite(block) for i, invite in enumerate(self._invited) if i not in self._faults}
        parts = [slice(start, start + TOGETHER) for start in range(0, len(block), TOGETHER)]
        crew = Crew(block.features.device)
        for stored, visits in crew.ahead(self._faced(guests)):
            crew.each(partial(self._meet, visits, block, stored), parts)
        found = {i: guest.leave() for i, guest in guests.items() if i not in self._faults}
        for i, values in found.items():
            if i != place:
                block.shared(("bank", i), partial(_itself, values))
        return found.get(place, block.features.new_empty(0))

    def _faced(self, guests: Mapping[int, Guest]) -> Iterator[tuple[Block, dict[int, Visit]]]:
        for stored in self._train.bank():
            if self.directions is not None:
                self.directions.of(stored)
            visits: dict[int, Visit] = {}
            for i, guest in guests.items():
                with self._faults_of(i):
                    visits[i] = guest.facing(stored)
            yield stored, visits

    def _meet(self, visits: Mapping[int, Visit], block: Block, stored: Block, rows: slice) -> None:
        meeting = Meeting(block, rows, stored, self.directions)
        for i, visit in visits.items():
            if i not in self._faults:
                with self._faults_of(i):
                    visit(meeting)

    @contextmanager
    def _faults_of(self, place: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a fault of one score must not cost the others
            self._faults[place] = error


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
        self.k = k
        self.best: Tensor | None = None

    @property
    def limits(self) -> Tensor | None:
        """What a number must exceed to count, (b,); None as long as every number counts."""
        return self.best[:, -1] if self.best is not None and self.best.shape[1] == self.k else None

    def add(self, row: Tensor, values: Tensor, rows: int) -> None:
        """Show further numbers (p,) of some of the rows, by rising row.

        As long as every number counts, each of the rows must be shown the same, or at least its k largest.
        """
        if self.limits is not None:
            counts = values > self.limits.index_select(0, row)
            row, values = row[counts], values[counts]
            if not len(row):
                return
        packed = _packed(row, values, rows)
        joined = packed if self.best is None else torch.cat([self.best, packed], dim=1)
        self.best = sorted_rows(joined)[:, -min(self.k, joined.shape[1]) :].flip(1)


def large_pairs(values: Tensor, limits: Tensor | None, k: int, margin: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and columns of all numbers (b, K) above limits (b,), or without them of each row's k largest.

    There are more: those that are less by no more than `margin` (b,).
    """
    if limits is None:
        if values.shape[1] <= k:
            return places(torch.ones_like(values, dtype=torch.bool))
        limits = values.topk(k, dim=1).values[:, -1]
    return places(larger(values, (limits - margin - TINY)[:, None]))  # equal ones count too


def margin(columns: int, size: Tensor) -> Tensor:
    """Return what rounding can make of sums (b,) of as many products, whose sizes add up to `size` at most, float32."""
    return (ROUNDING * columns * size).float()


def _packed(row: Tensor, values: Tensor, rows: int) -> Tensor:
    """Return the numbers of each row, (rows, most), and -inf where a row has fewer."""
    count = torch.bincount(row, minlength=rows)
    first = (count.cumsum(0) - count).index_select(0, row)
    packed = values.new_full((rows, int(count.max())), -torch.inf)
    packed[row, torch.arange(len(row), device=row.device) - first] = values
    return packed
