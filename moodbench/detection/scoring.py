"""Rows → scores, with the arithmetic of `moodbench.evaluation.engine`: the same bits as ``score`` gives them.

Blocks are widened as there, logits of a head that is not the model's own too, and they are computed with as many
threads as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.detection.fitted import Fitted
from moodbench.devices import arithmetic
from moodbench.errors import ScoreError
from moodbench.evaluation.engine import AGAINST_BANK, BLOCK
from moodbench.evaluation.pieces import logits_of, widened
from moodbench.scores.base import Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.answers import replayed
from moodbench.scores.machinery.crew import Crew, start_thread
from moodbench.scores.machinery.passes import failure
from moodbench.scores.machinery.returned import numbers
from moodbench.scores.machinery.written import is_own

MOST = AGAINST_BANK * BLOCK
"""Rows that are taken at once."""

V = TypeVar("V")


class Scoring:
    """A fitted score that takes rows.

    Parameters
    ----------
    score : Score
        Not fitted, with the parameters.
    fitted : Fitted
    bank : callable
        Starts a walk over the ID train rows, for scores that compare with each.
    device : torch.device
    threads : int, optional
        Of the CPU.

    Raises
    ------
    OtherQuestionsError
        The score asks for other statistics than it was fitted with.
    """

    def __init__(
        self,
        score: Score,
        fitted: Fitted,
        bank: Callable[[], Iterable[Block]],
        device: torch.device,
        threads: int | None = None,
    ) -> None:
        self._about, self._device, self._threads = fitted.about, device, threads
        head = [None if array is None else torch.from_numpy(array).to(device) for array in (fitted.weight, fitted.bias)]
        self._weight, self._bias = head
        train = Train(weight=head[0], bias=head[1], device=device, bank=bank, **fitted.about["train"])
        self._score = self.apart(lambda: replayed(score, train, fitted.answers))

    @property
    def machine(self) -> str:
        """What rounding depends on: the device, or what the processor can do and with how many threads."""
        if self._device.type != "cpu":
            return self._device.type
        return f"cpu {torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()}"

    def apart(self, work: Callable[[], V], *, divided: bool = False) -> V:
        """Do `work` in a thread that calculates as those of the engine do; `divided`: as one of several."""
        with arithmetic(self._threads):
            threads = torch.get_num_threads()
            mine = Crew(self._device).share if divided else threads
            torch.set_num_threads(mine)
            try:
                with ThreadPoolExecutor(1, initializer=start_thread, initargs=(mine,)) as pool:
                    return pool.submit(_without_gradients, work).result()
            finally:
                torch.set_num_threads(threads)

    def __call__(self, features: NDArray[np.float32], logits: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """Return the scores of rows.

        Parameters
        ----------
        features : (N, D) float32
        logits : (N, C) float32, optional
            Of the model's own head; left out where they are not used.

        Raises
        ------
        ScoreError
            The score fails.
        """
        together = self._score.cost != "products"
        size = MOST if together else BLOCK
        try:
            return self.apart(
                lambda: np.concatenate(
                    [np.empty(0), *(self._of(features, logits, at, size) for at in range(0, len(features), size))]
                ),
                divided=not together,
            )
        except (ValueError, RuntimeError, ScoreError, ArithmeticError, LookupError, TypeError) as error:
            raise ScoreError(f"the score '{self._about['score']}' {failure(error, self._score)}") from error

    def _of(
        self, features: NDArray[np.float32], logits: NDArray[np.float32] | None, start: int, size: int
    ) -> NDArray[np.float64]:
        rows = slice(start, start + size)
        x = torch.from_numpy(features[rows]).to(self._device)
        made = None
        if self._about["logits"]:
            if logits is not None and not self._about["recompute"]:
                made = torch.from_numpy(logits[rows]).to(self._device)
                columns = self._about["columns"]
                made = made if columns is None else made[:, torch.tensor(columns, device=self._device)]
            elif self._weight is not None and self._bias is not None:
                made = logits_of(x, self._weight, self._bias)
        block = widened(Block(x, made, torch.full((len(x),), -1, device=self._device), start))
        block = block if is_own(type(self._score)) else block.apart()
        return numbers(self._score.score(block), len(block))[: len(x)]


def _without_gradients(work: Callable[[], V]) -> V:
    with torch.inference_mode():
        return work()
