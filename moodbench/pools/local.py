"""A pool of processes on this machine, begun anew (not forked): CUDA does not survive a fork."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import platform
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from moodbench.errors import ModelError
from moodbench.pools.contract import Advanced, Answered, Event, Failed, Lost, Maker, Ready, Report
from moodbench.processes import follow_parent, how_ended

TOLD_SECONDS = 0.5
"""Between two messages about one task."""


@dataclass
class _Process:
    process: SpawnProcess
    pipe: Connection


class LocalPool:
    """A process for each maker.

    Parameters
    ----------
    makers : list of callable
        Picklable; each makes the worker of one process.

    Raises
    ------
    ModelError
        A maker cannot be sent to another process.
    """

    def __init__(self, makers: list[Maker]) -> None:
        self.size = len(makers)
        self._makers = [_sent(maker) for maker in makers]
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, _Process] = {}
        self._fallen: list[Event] = []

    def __enter__(self) -> LocalPool:
        for worker in range(self.size):
            self.replace(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._processes.values():
            one.process.kill()
        for one in self._processes.values():
            one.process.join()
            one.pipe.close()
        self._processes = {}

    def replace(self, worker: int) -> None:
        """Start the process of a worker."""
        ours, theirs = self._context.Pipe()
        # without the maker: what is larger than a pipe holds would be waited for here until the process reads it, and
        # for ever if it was killed before, as `start` keeps the other end of its own pipe open
        process = self._context.Process(target=_serve, args=(theirs,))
        try:
            process.start()
        except OSError as error:
            ours.close()
            self._fallen.append(Lost(worker, f"could not be started: {(error.strerror or str(error)).lower()}"))
            return
        finally:
            theirs.close()
        self._processes[worker] = _Process(process, ours)

    def give(self, worker: int, task: Any) -> None:
        """Send a task."""
        with contextlib.suppress(OSError):  # its end is seen by `events`
            self._processes[worker].pipe.send(task)

    def events(self, seconds: float) -> list[Event]:
        """Return what the processes have told."""
        if self._fallen:
            fallen, self._fallen = self._fallen, []
            return fallen
        by_pipe = {one.pipe: worker for worker, one in self._processes.items()}
        received = (self._received(by_pipe[pipe]) for pipe in wait(by_pipe, seconds))  # type: ignore[index]
        return [event for event in received if event is not None]

    def _received(self, worker: int) -> Event | None:
        one = self._processes[worker]
        try:
            kind, value = one.pipe.recv()
        except (EOFError, OSError):  # the end of a process is the end of its pipe
            one.process.join()
            one.pipe.close()
            del self._processes[worker]
            return Lost(worker, how_ended(one.process.exitcode))
        if kind == "begun":
            with contextlib.suppress(OSError):
                one.pipe.send_bytes(self._makers[worker])
            return None
        made: dict[str, Callable[[int, Any], Event]] = {"ready": Ready, "advanced": Advanced, "answered": Answered}
        return Failed(worker, value.error()) if kind == "failed" else made[kind](worker, value)


def _sent(maker: Maker) -> bytes:
    try:
        return pickle.dumps(maker)
    except Exception as error:  # what objects of others raise when they are pickled is anything
        raise ModelError(
            f"what is to be computed cannot be sent to another process: {error}",
            fix="define the network, its transform and its functions in a module that can be imported, or compute on "
            "one device",
        ) from None


# in the other process


def _serve(pipe: Connection) -> None:
    """Ask for the maker, make the worker, and work until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    threading.Thread(target=follow_parent, daemon=True).start()
    try:
        pipe.send(("begun", None))
        maker = pipe.recv_bytes()
        try:
            work = pickle.loads(maker)()
        except Exception as error:
            pipe.send(("failed", Report.of(error)))
            return
        pipe.send(("ready", platform.node()))
        while True:
            task = pipe.recv()
            try:
                answer = ("answered", work(task, Throttled(lambda amount: pipe.send(("advanced", amount)))))
            except Exception as error:
                answer = ("failed", Report.of(error))
            pipe.send(answer)
    except (EOFError, OSError):
        os._exit(0)


class Throttled:
    """Sums up what a worker tells, and sends it on not too often."""

    def __init__(self, send: Callable[[float], None], seconds: float = TOLD_SECONDS) -> None:
        self._send, self._seconds = send, seconds
        self._sum, self._last = 0.0, time.monotonic()

    def __call__(self, amount: float) -> None:
        self._sum += amount
        now = time.monotonic()
        if now - self._last >= self._seconds:
            amount, self._sum, self._last = self._sum, 0.0, now
            self._send(amount)
