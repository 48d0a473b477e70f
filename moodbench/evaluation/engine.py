"""Fits scores on the caches of a model and runs them over its test sets: every row is read once for all scores.

Every score is fitted on the ID train rows in as few passes as the slowest needs, all together; then each test dataset
is read once for all scores. Memory holds one block of rows, the statistics, and one number per test row and score.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.classes import without_gaps
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.elsewhere import Answer, Predicted
from moodbench.evaluation.pieces import Array, Piece, found_of, gathered, logits_of, share_out
from moodbench.evaluation.predictions import Predictions
from moodbench.evaluation.timing import seconds_a_row
from moodbench.features.reader import RowBlock, RowReader
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.crew import Crew
from moodbench.scores.machinery.notes import not_numbers, note_degenerate
from moodbench.scores.machinery.passes import Faults, fit_scores
from moodbench.scores.machinery.statistics import Statistic
from moodbench.types import MOST_TIMED
from moodbench.views import CHANGED

BLOCK = 2048
"""Rows that are worked on at once: few enough for the caches of a processor, enough for its matrix products."""

AGAINST_BANK = 8
"""Blocks of test rows that meet ID train at once: what is computed of a block of ID train serves more of them."""

SAMPLE = 2048
"""Rows of ID train that tell whether the head's classes are the data's, where names do not."""

THINNED = "memory bank of"
"""How the remark begins that says how far a memory bank was thinned out."""


class Elsewhere(Protocol):
    """Processes that do an engine's work on ranges of rows, with the same numbers to float32 rounding."""

    def one_pass(
        self, engine: Engine, wanted: Mapping[Hashable, Statistic[Any]], tick: Callable[[float], object]
    ) -> tuple[dict[Hashable, Statistic[Any]], Faults]:
        """Show ID train to statistics, and return those that have seen all of it, and what others raised.

        Those in neither have to be shown the rows here.
        """

    def score(self, engine: Engine, scores: Mapping[str, Score], tested: Mapping[str, RowReader]) -> Iterator[Answer]:
        """Yield what fitted scores say of all test rows. Those in no answer have to be asked here."""


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
        elsewhere: Elsewhere | None = None,
    ) -> None:
        caches = caches if caches.joined is not None else caches.by_name()
        self.caches, self.device, self.size, self.bank_rows = caches, device, block, bank_rows
        self.progress, self.seconds, self.elsewhere = progress, seconds, elsewhere
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

    def blocks(
        self, reader: RowReader, *, thinned_to: int | None = None, within: range | None = None
    ) -> Iterator[Block]:
        """Yield the rows of a reader in blocks on the device.

        Parameters
        ----------
        reader : RowReader
        thinned_to : int, optional
            So many of the rows alone, spread evenly.
        within : range, optional
            These rows of the file alone (`RowReader.blocks`); blocks are numbered as ever.
        """
        cached = self.logits and not self.caches.recompute
        start = 0 if within is None else reader.before(within.start)
        if thinned_to is not None and thinned_to < reader.rows:
            read = reader.spread(thinned_to, self.size, logits=cached)
        else:
            read = reader.blocks(self.size, logits=cached, within=within)
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
            elsewhere=None if self.elsewhere is None else partial(self.elsewhere.one_pass, self),
        )
        tested = {**self.caches.test, **self.caches.ood}
        values = {(name, score): np.empty(reader.rows) for name, reader in tested.items() for score in fitted}
        self._predicted = {name: np.full(r.rows, -1, np.int64) for name, r in self.caches.test.items()}
        self._confidence = {name: np.zeros(r.rows) for name, r in self.caches.test.items()}
        rows = sum(reader.rows for reader in tested.values())
        away = set() if self.elsewhere is None else self._score_elsewhere(self.elsewhere, fitted, values, tested)
        here = {name: score for name, score in fitted.items() if name not in away}
        products = {name: score for name, score in here.items() if score.cost == "products"}
        others = {name: score for name, score in here.items() if name not in products}
        if products or not (others or away):  # without any score, which rows are classified correctly is still asked
            with self.progress.phase("test rows", rows) as tick:
                self._side_by_side(
                    partial(self._score, products, values, tick), ([piece] for piece in self._pieces(tested))
                )
        if others:  # they walk over a bank of rows for every block, or leave the work to libraries with threads
            with self.progress.phase("test rows against ID train", rows) as tick:
                for some in gathered(self._pieces(tested), AGAINST_BANK * self.size):
                    self._score(others, values, tick, some)
        if self.seconds is not None:
            self._measure(fitted, self.seconds)
        values = {key: array for key, array in values.items() if key[1] not in self.failures}
        alone = {name: score for name, score in scores.items() if not score.is_transductive()}
        missing |= self.failures | not_numbers(alone, values)
        note_degenerate(alone, missing, values)
        return values, missing

    def _score_elsewhere(
        self,
        elsewhere: Elsewhere,
        scores: Mapping[str, Score],
        values: Mapping[tuple[str, str], Array],
        tested: Mapping[str, RowReader],
    ) -> set[str]:
        """Have other processes score the test rows, and return the names of the scores that they took."""
        taken: set[str] = set()
        for answer in elsewhere.score(self, scores, tested):
            taken |= answer.found.keys() | answer.failures.keys()
            self.failures |= {name: why for name, why in answer.failures.items() if name not in self.failures}
            for name, found in answer.found.items():
                begin = 0
                for dataset, rows in answer.rows:
                    count = rows.stop - rows.start
                    values[dataset, name][rows] = found[begin : begin + count]
                    begin += count
            for (dataset, rows), predicted in zip(answer.rows, answer.predicted, strict=True):
                if predicted is not None:
                    self._note_predicted(dataset, rows, *predicted)
        return taken

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
        for name, found in found_of(scores, pieces, self.failures, tick).items():
            share_out(found, pieces, {piece.dataset: values[piece.dataset, name] for piece in pieces})
        for piece in pieces:
            if (answer := self.predicted_of(piece)) is not None:
                self._note_predicted(piece.dataset, piece.rows, *answer)

    def predicted_of(self, piece: Piece) -> Predicted | None:
        """Return the predicted classes of ID test rows and how sure they are; None of others, and without logits."""
        known = self._predicted.get(piece.dataset)
        if not self.logits or piece.dataset not in self.caches.test:
            return None
        if known is not None and (known[piece.rows] >= 0).all():
            return None  # a second round, against a bank, would only say the same again
        confidence = piece.block.confidence.cpu().numpy() if self.own_classes else np.zeros(len(piece.block))
        return piece.block.predicted.cpu().numpy(), confidence

    def _note_predicted(self, dataset: str, rows: slice, predicted: NDArray[np.int64], confidence: Array) -> None:
        self._predicted[dataset][rows], self._confidence[dataset][rows] = predicted, confidence

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
