"""Fits scores on the caches of a model and runs them over its test sets: every row is read once for all scores.

Every score is fitted on the ID train rows in as few passes as the slowest needs, all together; then each test dataset
is read once for all scores. Memory holds one block of rows, the statistics, and one number per test row and score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.classes import without_gaps
from moodbench.errors import CacheError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.predictions import Predictions
from moodbench.evaluation.timing import seconds_a_row
from moodbench.features.reader import RowBlock, RowReader
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import Score, Train
from moodbench.scores.block import Block, joined
from moodbench.scores.machinery.crew import Crew
from moodbench.scores.machinery.notes import not_numbers, note_degenerate
from moodbench.scores.machinery.passes import failure, fit_scores
from moodbench.scores.machinery.returned import numbers
from moodbench.scores.machinery.written import is_own
from moodbench.types import MOST_TIMED
from moodbench.views import CHANGED

BLOCK = 2048
"""Rows that are worked on at once: few enough for the caches of a processor, enough for its matrix products."""

AGAINST_BANK = 8
"""Blocks of test rows that meet ID train at once: what is computed of a block of ID train serves more of them."""

LEAST = 64
"""Rows of the smallest block that is scored: a matrix product rounds a few rows otherwise than many, and with so many
the bits of a row no longer depend on how many others there are. Smaller blocks are filled up with their own rows."""

SAMPLE = 2048
"""Rows of ID train that tell whether the head's classes are the data's, where names do not."""

THINNED = "memory bank of"
"""How the remark begins that says how far a memory bank was thinned out."""

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


class Engine:
    """Turns cached rows into blocks on the device, and blocks into scores."""

    def __init__(
        self,
        caches: Caches,
        device: torch.device,
        block: int,
        bank_rows: int | None = None,
        progress: Progress = SILENT,
        seconds: dict[str, float] | None = None,
    ) -> None:
        caches = caches if caches.joined is not None else caches.by_name()
        self.caches, self.device, self.size, self.bank_rows = caches, device, block, bank_rows
        self.progress, self.seconds = progress, seconds
        head = caches.head
        self.weight = None if head is None else torch.from_numpy(head.weight).to(device)
        self.bias = None if head is None else torch.from_numpy(head.bias).to(device)
        self.columns = None if caches.columns is None else torch.tensor(caches.columns, device=device)
        self.logits = caches.classes is not None
        self._predicted: dict[str, NDArray[np.int64]] = {}
        self._confidence: dict[str, Array] = {}
        self.failures: dict[str, str] = {}
        self.absent: dict[tuple[str, str], str] = {}  # (dataset, score) → why that has no numbers of that alone
        labels = caches.train.labels
        self._present: NDArray[np.int64] | None = None if self.own_classes else np.unique(labels[labels >= 0])
        largest = int(self._numbered(labels).max())
        self.train = Train(
            rows=caches.train.rows,
            dim=caches.train.dim,
            classes=caches.classes,
            label_classes=largest + 1 if labels.min() >= 0 else 0,
            unlabelled=int((labels < 0).sum()),
            own_classes=self.own_classes,
            used_classes=None if caches.joined is None else caches.joined.used,
            weight=self.weight,
            bias=self.bias,
            device=device,
            views={name: view.dim for name, view in caches.train.views.items()},
            cached_views=caches.cached_views,
            texts={} if head is None else {kind: torch.from_numpy(t).to(device) for kind, t in head.texts.items()},
            bank=partial(self.blocks, caches.train, thinned_to=bank_rows),
        )

    @property
    def own_classes(self) -> bool:
        """Whether the labels number the head's classes."""
        return self.logits and self.caches.joined is not None and bool(self.caches.joined.own)

    @property
    def thinned(self) -> str | None:
        """What to say of scores with a memory bank that was thinned out."""
        rows = self.caches.train.rows
        if self.bank_rows is None or self.bank_rows >= rows:
            return None
        return f"{THINNED} {self.bank_rows} of {rows} rows"

    def _numbered(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return labels as scores see them: of a head's classes as they are, others without the gaps of ID train.

        Whatever is kept for each class is as large as there are classes, even where one is number 999,999.
        """
        return labels if self._present is None else without_gaps(labels, self._present)

    def settle_classes(self) -> Caches:
        """Return the caches with it said whether the head's classes are the data's, where only predictions can tell.

        Numbers without names may leave the last class out, or number other classes. In the first case most of the
        head's predictions of ID train fall on classes that occur, and they are right far more often than by chance.
        """
        joined = self.caches.joined
        if joined is None or joined.own is not None:
            return self.caches
        known = torch.from_numpy(joined.train.found).to(self.device)
        reader = next(r for r in (self.caches.train, *self.caches.test.values()) if r.labels.max() >= 0)
        some = min(SAMPLE, reader.rows)
        inside = right = 0
        for block in self.blocks(reader, thinned_to=some):
            inside += int(torch.isin(block.predicted, known).sum())
            right += int((block.predicted == block.labels).sum())
        own = 2 * inside >= some and right >= some * max(0.3, 1.5 / len(known))
        return replace(self.caches, joined=replace(joined, own=own))

    def blocks(self, reader: RowReader, *, thinned_to: int | None = None) -> Iterator[Block]:
        cached = self.logits and not self.caches.recompute
        start = 0
        if thinned_to is not None and thinned_to < reader.rows:
            read = reader.spread(thinned_to, self.size, logits=cached)
        else:
            read = reader.blocks(self.size, logits=cached)
        for rows in read:
            labels = torch.from_numpy(self._numbered(rows.labels)).to(self.device)
            views = {name: Block(*self._beside(name, view), labels, start) for name, view in rows.views.items()}
            yield Block(*self._vectors(rows), labels, start, views)
            start += len(rows.labels)

    def _beside(self, name: str, rows: RowBlock) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return those of rows that lie beside, which may be another model's, with a head of its own."""
        head = self.caches.heads_beside.get(name)
        if head is None:
            return self._vectors(rows, with_head=name.startswith(CHANGED))
        features = torch.from_numpy(rows.features).to(self.device)
        if self.caches.columns is not None:
            head = head.of_classes(self.caches.columns)
        weight, bias = (torch.from_numpy(part).to(self.device) for part in (head.weight, head.bias))
        return features, logits_of(features, weight, bias)

    def _vectors(self, rows: RowBlock, *, with_head: bool = True) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return features and logits on the device; logits of the head, where it fits and they are not cached."""
        features = torch.from_numpy(rows.features).to(self.device)
        if rows.logits is not None:
            logits = torch.from_numpy(rows.logits).to(self.device)
            return features, logits if self.columns is None else logits[:, self.columns]
        if not with_head or self.weight is None or self.bias is None or self.weight.shape[1] != features.shape[1]:
            return features, None
        return features, logits_of(features, self.weight, self.bias)

    def run(self, scores: Mapping[str, Score]) -> tuple[dict[tuple[str, str], Array], dict[str, str]]:
        """Fit on ID train and score every test dataset.

        Returns
        -------
        values : mapping of (dataset, score) to (N,) float64
        missing : mapping of score to the reason why it has no values
        """
        held_out = None if self.caches.held_out is None else partial(self.blocks, self.caches.held_out)
        fitted, missing = fit_scores(
            scores,
            self.train,
            partial(self.blocks, self.caches.train),
            held_out,
            tolerant=True,
            progress=self.progress,
        )
        tested = {**self.caches.test, **self.caches.ood}
        values = {(name, score): np.empty(reader.rows) for name, reader in tested.items() for score in fitted}
        self._predicted = {name: np.full(r.rows, -1, np.int64) for name, r in self.caches.test.items()}
        self._confidence = {name: np.zeros(r.rows) for name, r in self.caches.test.items()}
        products = {name: score for name, score in fitted.items() if score.cost == "products"}
        others = {name: score for name, score in fitted.items() if name not in products}
        rows = sum(reader.rows for reader in tested.values())
        if products or not others:  # without any score, which rows are classified correctly is still asked
            with self.progress.phase("test rows", rows) as tick:
                self._side_by_side(
                    partial(self._score, products, values, tick), ([piece] for piece in self._pieces(tested))
                )
        if others:  # they walk over a bank of rows for every block, or leave the work to libraries with threads
            with self.progress.phase("test rows against ID train", rows) as tick:
                for some in _gathered(self._pieces(tested), AGAINST_BANK * self.size):
                    self._score(others, values, tick, some)
        if self.seconds is not None:
            self._measure(fitted, self.seconds)
        values = {key: array for key, array in values.items() if key[1] not in self.failures}
        alone = {name: score for name, score in scores.items() if not score.is_transductive()}
        missing |= self.failures | not_numbers(alone, values)
        note_degenerate(alone, missing, values)
        return values, missing

    def _pieces(self, readers: Mapping[str, RowReader]) -> Iterator[Piece]:
        return (Piece(name, block) for name, reader in readers.items() for block in self.blocks(reader))

    def _measure(self, fitted: Mapping[str, Score], seconds: dict[str, float]) -> None:
        """Add how long scores take for a row that nobody knows of yet, on the first block of test rows."""
        block = next(self.blocks(next(iter(self.caches.test.values()))))
        for name in fitted.keys() - seconds.keys() - self.failures.keys():
            if fitted[name].is_transductive() or (fitted[name].cost == "memory bank" and self.train.rows > MOST_TIMED):
                continue
            found = seconds_a_row(fitted[name], block)
            if found is not None:
                seconds[name] = found

    def _score(
        self,
        scores: Mapping[str, Score],
        values: Mapping[tuple[str, str], Array],
        tick: Callable[[float], object],
        pieces: Sequence[Piece],
    ) -> None:
        block = joined([piece.block for piece in pieces])
        wide = widened(block)
        with torch.inference_mode():
            for name, score in scores.items():
                if name not in self.failures:
                    try:
                        if is_own(type(score)):
                            found = numbers(score.score(wide), len(wide))[: len(block)]
                        else:
                            found = np.concatenate([_apart(score, piece.block) for piece in pieces])
                    except CacheError:  # a memory bank that cannot be read is no fault of the score
                        raise
                    except (Exception, SystemExit) as error:  # a fault of one score must not cost the others
                        self.failures[name] = failure(error, score)
                    else:
                        _share_out(found, pieces, {piece.dataset: values[piece.dataset, name] for piece in pieces})
                tick(len(block) / len(scores))
            tested = [piece for piece in pieces if self.logits and piece.dataset in self._predicted]
            for piece in tested:
                predicted = self._predicted[piece.dataset]
                if (predicted[piece.rows] < 0).any():  # a second round, against a bank, would only say the same again
                    predicted[piece.rows] = piece.block.predicted.cpu().numpy()
                    if self.own_classes:
                        self._confidence[piece.dataset][piece.rows] = piece.block.confidence.cpu().numpy()

    def _side_by_side(self, work: Callable[[Sequence[Piece]], None], pieces: Iterator[Sequence[Piece]]) -> None:
        """Do `work` on every block, on a CPU several blocks at a time while the next is read.

        A block has many small operations, which several threads do not share well: each thread takes blocks of its own.
        """
        threads = torch.get_num_threads()
        crew = Crew(self.device)
        try:
            torch.set_num_threads(crew.share)  # while they work, the next block is read
            crew.each(work, pieces)
        finally:
            torch.set_num_threads(threads)

    def predictions(self, is_id: Mapping[str, NDArray[np.bool_]]) -> Predictions | None:
        """Return labels and predicted classes of the ID test rows; None unless all have a label of the head's classes.

        An ImageNet head on CIFAR labels has none: equal numbers would mean other classes.
        """
        readers = self.caches.test
        labels = np.concatenate([reader.labels[is_id[name]] for name, reader in readers.items()])
        if not self.own_classes or len(labels) == 0 or labels.min() < 0:
            return None
        predicted, confidence = (
            np.concatenate([of[name][is_id[name]] for name in readers]) for of in (self._predicted, self._confidence)
        )
        return Predictions(labels, predicted.astype(np.int64), confidence)


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


def _apart(score: Score, block: Block) -> Array:
    return numbers(score.score(block.apart()), len(block))


def _gathered(pieces: Iterable[Piece], rows: int) -> Iterator[list[Piece]]:
    """Yield neighbours together, also of several datasets, as long as they are no more than so many rows."""
    some: list[Piece] = []
    for piece in pieces:
        if some and sum(len(each.block) for each in some) + len(piece.block) > rows:
            yield some
            some = []
        some.append(piece)
    if some:
        yield some


def _share_out(found: Array, pieces: Sequence[Piece], values: Mapping[str, Array]) -> None:
    """Put the numbers of some pieces' rows, one after the other, where each dataset has its own."""
    begin = 0
    for piece in pieces:
        values[piece.dataset][piece.rows] = found[begin : begin + len(piece.block)]
        begin += len(piece.block)
