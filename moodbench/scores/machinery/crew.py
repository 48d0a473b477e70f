"""Threads that work side by side, each with its share of the cores: many small operations do not share cores well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from moodbench.errors import MoodbenchError

T = TypeVar("T")

MOST = 4
"""Threads that work side by side: more would wait for Python, and each holds what it works on."""


class Crew:
    """Up to `MOST` threads on a CPU; elsewhere the caller itself. A context manager.

    Attributes
    ----------
    share : int
        Cores that each of them calculates with.
    """

    def __init__(self, device: torch.device) -> None:
        threads = torch.get_num_threads()
        self._workers = min(threads, MOST) if device.type == "cpu" else 1
        self.share = threads // self._workers
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Crew:
        if self._workers > 1:
            self._pool = ThreadPoolExecutor(self._workers, initializer=start_thread, initargs=(self.share,))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do `work` on every item, without inference's bookkeeping; items are taken as threads become free.

        The first error is raised, when what had begun has ended.
        """
        if self._pool is None:
            with torch.inference_mode():
                for item in items:
                    work(item)
            return
        running: set[Future[None]] = set()
        try:
            for item in items:
                running.add(self._pool.submit(_work, work, item))
                if len(running) > self._workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in running:
                future.result()
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
            raise MoodbenchError(
                "the system allows no further thread", fix="run fewer programs at once, or give --threads 1"
            ) from None
        finally:
            wait(running)


def _work(work: Callable[[T], object], item: T) -> None:
    with torch.inference_mode():  # of a thread
        work(item)


def start_thread(threads: int) -> None:
    """Make a new thread calculate as the main one does: both settings belong to a thread."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
