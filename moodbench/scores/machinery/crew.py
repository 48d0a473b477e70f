"""Threads that work side by side, each with its share of the cores: many small operations do not share cores well."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import ParamSpec, TypeVar

import torch

from moodbench.errors import MoodbenchError

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

MOST = 4
"""Threads that work side by side: more would wait for Python, and each holds what it works on."""

_here = threading.local()


class Crew:
    """Up to `MOST` threads on a CPU; elsewhere, and inside one of them, the caller itself.

    The threads stay until the program ends: where one ends, Intel's MKL takes back what it held under a lock that the
    others spin for, for ever if the system lets them (real-time scheduling).

    Attributes
    ----------
    share : int
        Cores that each of them calculates with.
    """

    def __init__(self, device: torch.device) -> None:
        threads = torch.get_num_threads()
        self._workers = min(threads, MOST) if device.type == "cpu" and not hasattr(_here, "works") else 1
        self.share = threads // self._workers

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do `work` on every item; items are taken as threads become free.

        The first error is raised, when what had begun has ended.
        """
        if self._workers == 1:
            for item in items:
                work(item)
            return
        inference = torch.is_inference_mode_enabled()  # that of the caller: it belongs to a thread
        running: set[Future[None]] = set()
        try:
            for item in items:
                running.add(self._started(_work, work, item, inference))
                if len(running) > self._workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in running:
                future.result()
        finally:
            wait(running)

    def ahead(self, items: Iterator[T]) -> Iterator[T]:
        """Yield the items, each of which one of the threads makes while what came before is worked on."""
        if self._workers == 1:
            yield from items
            return
        inference = torch.is_inference_mode_enabled()
        coming = self._started(_next, items, inference)
        try:
            while (made := coming.result()) is not None:
                coming = self._started(_next, items, inference)
                yield made[0]
        finally:
            wait([coming])

    def _started(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        try:
            return _pool(self._workers, self.share).submit(work, *args, **kwargs)
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
            raise MoodbenchError(
                "the system allows no further thread", fix="run fewer programs at once, or compute on one thread"
            ) from None


@lru_cache
def _pool(workers: int, share: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, initializer=_start, initargs=(share,))


os.register_at_fork(after_in_child=_pool.cache_clear)  # the threads are the parent's


def _work(work: Callable[[T], object], item: T, inference: bool) -> None:
    with torch.inference_mode(inference):
        work(item)


def _next(items: Iterator[T], inference: bool) -> tuple[T] | None:
    with torch.inference_mode(inference):
        for item in items:
            return (item,)
    return None


def _start(threads: int) -> None:
    _here.works = True
    start_thread(threads)


def start_thread(threads: int) -> None:
    """Make a new thread calculate as the main one does: both settings belong to a thread."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
