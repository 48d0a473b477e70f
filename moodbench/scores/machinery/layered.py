"""Fits over layers: each layer as if it were the features of a model of its own, or all of them as one row.

What scores learn of one vector, they learn of a layer with the same code: its statistics are shown that layer's part of
each block, in the passes that serve every other score.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

import torch

from moodbench.scores.base import Train
from moodbench.scores.block import HELD_OUT, Block
from moodbench.scores.machinery.gaussian import joined_notes
from moodbench.scores.machinery.statistics import Statistic
from moodbench.scores.machinery.unit import unit_rows

T = TypeVar("T")

LayerFit = Generator[Statistic[Any] | tuple[Statistic[Any], ...], Any, T]
"""Yields one statistic, or several, is sent the value, or the tuple of values, and returns what was fitted."""


class OfRows(Statistic[T]):
    """A statistic of other vectors of the same rows.

    Parameters
    ----------
    name : hashable
        Which they are: equal names must mean equal vectors.
    vectors : callable
        Block → Block.
    inner : Statistic
    """

    def __init__(self, name: Hashable, vectors: Callable[[Block], Block], inner: Statistic[T]) -> None:
        self.name, self.vectors, self.inner, self.part = name, vectors, inner, inner.part

    @property
    def key(self) -> Hashable:
        return ("of_rows", self.name, self.inner.key)

    def update(self, block: Block) -> None:
        self.inner.update(self.vectors(block))

    def merge(self, other: Self) -> None:
        self.inner.merge(other.inner)

    def finalize(self) -> T:
        return self.inner.finalize()


def of_view(view: str, inner: Statistic[T]) -> OfRows[T]:
    """Return a statistic of a view's rows."""
    return OfRows(view, lambda block: block.views[view], inner)


def train_of(train: Train, view: str, rows: str = "all") -> Train:
    """Return what a fit may know of a layer's rows, which have no head; scores of one layer share what they compute.

    `rows` names those that its statistics see.
    """

    def bank() -> Iterator[Block]:
        return (block.views[view] for block in train.bank())

    return train.shared(
        ("train_of", view, rows),
        lambda: replace(
            train, dim=train.views[view], classes=None, weight=None, bias=None, bank=bank, views={}, _memo={}
        ),
    )


def kept_of_view(view: str, inner: Statistic[T]) -> OfRows[T]:
    """Return a statistic of a view's rows but for those that are held out for tuning (every tenth)."""

    def vectors(block: Block) -> Block:
        numbers = torch.arange(block.start, block.start + len(block), device=block.features.device)
        its = block.views[view]
        return its.shared("kept", lambda: its.rows(numbers % HELD_OUT != HELD_OUT - 1))

    return OfRows(("kept", view), vectors, inner)


def fit_each(
    fits: Mapping[str, LayerFit[T]], seen: Callable[[str, Statistic[Any]], Statistic[Any]] = of_view
) -> LayerFit[dict[str, T]]:
    """Run fits of several views side by side, with ``yield from``: each pass serves all that wait for one.

    Parameters
    ----------
    fits : mapping of view to fit
    seen : callable
        Which rows they see: `of_view`, `kept_of_view`, or what leaves some fits the statistic as it is.

    Returns
    -------
    dict of view to what its fit returned
    """
    found: dict[str, T] = {}
    answers: dict[str, Any] = dict.fromkeys(fits)
    while answers:
        wanted: dict[str, Statistic[Any] | tuple[Statistic[Any], ...]] = {}
        for view, answer in answers.items():
            try:
                wanted[view] = fits[view].send(answer)
            except StopIteration as stop:
                found[view] = stop.value
        if not wanted:
            break
        values = iter((yield tuple(seen(view, one) for view, some in wanted.items() for one in _each(some))))
        answers = {
            view: tuple(next(values) for _ in some) if isinstance(some, tuple) else next(values)
            for view, some in wanted.items()
        }
    return {view: found[view] for view in fits}


def _each(request: Statistic[Any] | tuple[Statistic[Any], ...]) -> tuple[Statistic[Any], ...]:
    return request if isinstance(request, tuple) else (request,)


def notes_of(notes: Mapping[str, str | None]) -> str | None:
    """Return what the results say of several layers: a note that all have once, others with their layer."""
    distinct = set(notes.values())
    if len(distinct) == 1:
        return distinct.pop()
    return joined_notes(*(f"{layer}: {note}" for layer, note in notes.items() if note))


def side_by_side(block: Block, views: Sequence[str]) -> Block:
    """Return the same rows with one vector each: those of the views divided by their length, one behind another.

    Cosines of such rows are the means of the views' cosines. A row of zeros in one of them stays zero there.
    """
    return block.shared(
        ("side_by_side", *views),
        lambda: Block(
            torch.cat([unit_rows(block.views[view].features.double()).float() for view in views], dim=1),
            start=block.start,
        ),
    )


def of_side_by_side(views: tuple[str, ...], inner: Statistic[T]) -> OfRows[T]:
    """Return a statistic of rows as `side_by_side` makes them."""
    return OfRows(("side_by_side", *views), lambda block: side_by_side(block, views), inner)


def train_side_by_side(train: Train, views: Sequence[str]) -> Train:
    """Return what a fit may know of rows as `side_by_side` makes them."""

    def bank() -> Iterator[Block]:
        return (side_by_side(block, views) for block in train.bank())

    dim = sum(train.views[view] for view in views)
    return train.shared(
        ("train_side_by_side", *views),
        lambda: replace(train, dim=dim, classes=None, weight=None, bias=None, bank=bank, views={}, _memo={}),
    )
