"""Transductive scores: a stream for each OOD dataset, all rows of ID test and of it in an order drawn from the seed.

So do the authors' programs (YBZh/OpenOOD-VLM, zxk1212/OODD): both sides whole, shuffled together, the memory empty at
the beginning of each stream. While a stream is scored, its rows are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.errors import CacheError
from moodbench.evaluation.engine import Engine
from moodbench.evaluation.pieces import Array
from moodbench.features.reader import RowReader
from moodbench.scores.base import Score
from moodbench.scores.block import Block, joined
from moodbench.scores.machinery.notes import not_numbers, note_degenerate
from moodbench.scores.machinery.passes import failure
from moodbench.scores.machinery.returned import numbers
from moodbench.scores.machinery.streaming import Batch, OverStream
from moodbench.scores.machinery.written import is_own

Mask = NDArray[np.bool_]

Streams = dict[tuple[str, str, str], Array]
"""(dataset, OOD dataset of the stream, score) → (N,) float64; NaN for rows that have no part in it."""


def order_of(rows: int, seed: int) -> NDArray[np.int64]:
    """Return the order of a stream: which row comes when; rows are numbered ID test first."""
    return np.random.default_rng(seed).permutation(rows)


def run_streams(
    engine: Engine,
    scores: Mapping[str, Score],
    values: dict[tuple[str, str], Array],
    missing: dict[str, str],
    is_id: Mapping[str, Mask],
    oods: Mapping[str, tuple[str, Mask]],
) -> Streams:
    """Return the numbers of transductive scores; what they say of rows alone is taken out of `values`.

    Parameters
    ----------
    engine : Engine
        That ran the scores.
    scores : mapping of label to Score
        All of them, fitted; others than transductive ones have no part.
    values, missing : dict
        What the engine returned. A score that fails is added to `missing`.
    is_id : mapping of dataset to (N,) bool
        The rows of ID test that count.
    oods : mapping of name to (dataset, (N,) bool)
        For each stream where its OOD rows are.
    """
    some = {name: one for name, one in scores.items() if isinstance(one, OverStream) and name not in missing}
    alone = {key: values.pop(key) for key in [*values] if key[1] in some}
    found: Streams = {}
    if not some:
        return found
    given: dict[tuple[str, str], Array] = {}  # without the rows that have no part
    readers = {**engine.caches.test, **engine.caches.ood}
    of_id = _Side(engine, readers, is_id)
    total = sum(of_id.count + int(mask.sum()) for _, mask in oods.values()) * len(some)
    with engine.progress.phase("test streams", total) as tick:
        for title, (dataset, mask) in oods.items():
            of_ood = _Side(engine, readers, {dataset: mask})
            if of_id.count and of_ood.count:
                for name, one in some.items():
                    if name not in engine.failures:
                        _stream(engine, one, name, title, (of_id, of_ood), alone, found, given, tick)
    missing |= {name: why for name, why in engine.failures.items() if name in some}
    missing |= not_numbers({name: one for name, one in some.items() if name not in missing}, given)
    note_degenerate(some, missing, given)
    return {key: array for key, array in found.items() if key[2] not in missing}


class _Side:
    """The rows of some datasets that count, in memory from when they are first asked for."""

    def __init__(self, engine: Engine, readers: Mapping[str, RowReader], masks: Mapping[str, Mask]) -> None:
        self._engine, self._readers = engine, readers
        self.masks = {name: mask for name, mask in masks.items() if mask.any()}
        self.count = sum(int(mask.sum()) for mask in self.masks.values())
        self._block: Block | None = None

    def rows(self, chosen: NDArray[np.int64]) -> Block:
        """Return some of the rows, by their numbers, without their labels."""
        if self._block is None:
            self._block = joined(list(chain.from_iterable(self._read(name) for name in self.masks)))
        return self._block.rows(torch.from_numpy(chosen).to(self._engine.train.device))

    def _read(self, name: str) -> Iterator[Block]:
        for block in self._engine.blocks(self._readers[name]):
            wanted = self.masks[name][block.start : block.start + len(block)]
            if wanted.any():
                chosen = torch.from_numpy(np.flatnonzero(wanted)).to(block.features.device)
                yield block.unlabelled().rows(chosen)  # whether a row is ID must not be read from its label

    def of(self, alone: Mapping[tuple[str, str], Array], score: str) -> Array:
        """Return what a score says of the rows alone, in their order."""
        return np.concatenate([alone[name, score][mask] for name, mask in self.masks.items()])


def _stream(
    engine: Engine,
    score: OverStream,
    name: str,
    title: str,
    sides: tuple[_Side, _Side],
    alone: Mapping[tuple[str, str], Array],
    found: Streams,
    given: dict[tuple[str, str], Array],
    tick: Callable[[float], object],
) -> None:
    of_id, of_ood = sides
    order = order_of(of_id.count + of_ood.count, score.seed)
    by_itself = np.concatenate([of_id.of(alone, name), of_ood.of(alone, name)])
    scored = np.empty(len(order))
    parts = [order[start : start + score.batch] for start in range(0, len(order), score.batch)]

    def batches() -> Iterator[Batch]:
        for part in parts:
            block = _mixed(of_id, of_ood, part)
            block = block if is_own(type(score)) else block.apart()
            yield Batch(block, torch.from_numpy(by_itself[part]).to(block.features.device))

    try:
        answers = iter(score.stream(batches()))
        for part in parts:
            answer = next(answers, None)
            scored[part] = numbers(answer, len(part), "stream")
            tick(len(part))
    except CacheError:  # rows that cannot be read are no fault of the score
        raise
    except (Exception, SystemExit) as error:  # a fault of one score must not cost the others
        engine.failures[name] = failure(error, score)
        return
    given[title, name] = scored
    begin = 0
    for side in sides:
        for dataset, mask in side.masks.items():
            count = int(mask.sum())
            whole = found.setdefault((dataset, title, name), np.full(len(mask), np.nan))
            whole[mask] = scored[begin : begin + count]
            begin += count


def _mixed(of_id: _Side, of_ood: _Side, part: NDArray[np.int64]) -> Block:
    """Return the rows with these numbers, in their order; those of ID test come first in the numbering."""
    first = part < of_id.count
    blocks = [
        side.rows(rows) for side, rows in ((of_id, part[first]), (of_ood, part[~first] - of_id.count)) if len(rows)
    ]
    back = np.argsort(np.argsort(~first, kind="stable"), kind="stable")
    return joined(blocks).rows(torch.from_numpy(back).to(blocks[0].features.device))
