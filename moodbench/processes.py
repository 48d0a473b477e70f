"""Work in several processes that cannot hang, whatever happens to one of them.

Numbers of tasks go out through pipes and answers come back in order. There is no queue with a thread of its own (which
drops what it cannot pickle, and then everybody waits for ever), no semaphore, and nothing in ``/dev/shm``, of which
containers often have 64 MB and some none that can be written. A process that is killed ends the work with one error.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")

FORKS = sys.platform == "linux"
"""Whether processes are forked: they share what was there before. Elsewhere (macOS) libraries do not survive that."""

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_Task = tuple[Callable[[int, int], Any], Callable[[], None]]
"""What a process does over and over, and what it does first."""


def _nothing() -> None:
    pass


class ProcessLostError(Exception):
    """A process ended before its work, or could not be started; the text says how, for a sentence that goes on."""


@dataclass
class _Worker:
    """A process, our end of its pipe, and how many answers it owes."""

    process: BaseProcess
    pipe: Connection
    owes: int = 0


class InOrder(Generic[Answer]):
    """The answers of ``work(0, place)``, ``work(1, place)``, … in order; use it as a context manager.

    Parameters
    ----------
    work : callable
        Of (number of the task, place). Picklable where processes are not forked. `place` is a number below `ahead`
        that no other task has while its answer is on the way or being used: until the next one is asked for.
    count : int
        Tasks.
    processes : int
    ahead : int
        At most so many tasks are under way, or wait for their turn, at a time.
    begin : callable
        Is called in each process first.

    Raises
    ------
    ProcessLostError
        A process was killed, or could not be started.
    Exception
        What `work` raised.
    """

    def __init__(
        self,
        work: Callable[[int, int], Answer],
        count: int,
        *,
        processes: int,
        ahead: int,
        begin: Callable[[], None] = _nothing,
    ) -> None:
        self._count, self._ahead = count, ahead
        self._workers: list[_Worker] = []
        self._done: dict[int, tuple[Answer | None, Exception | None]] = {}
        context = multiprocessing.get_context("fork" if FORKS else "spawn")
        try:
            # not with `start`, which keeps the other end of its own pipe open: what is larger than a pipe holds would
            # be waited for without end, if a process is killed before it reads it
            sent = None if FORKS else pickle.dumps((work, begin))
            for _ in range(min(processes, count, ahead)):
                self._workers.append(_started(context, (work, begin) if FORKS else None))
            if sent is not None:
                for worker in self._workers:
                    _send(worker, sent)
        except OSError as error:
            self.close()
            raise ProcessLostError(f"could not be started: {(error.strerror or str(error)).lower()}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> InOrder[Answer]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Answer]:
        asked = 0
        for number in range(self._count):
            while asked < min(self._count, number + self._ahead):
                self._ask(asked)
                asked += 1
            while number not in self._done:
                self._receive()
            answer, error = self._done.pop(number)
            if error is not None:
                raise error
            yield answer  # type: ignore[misc]  # there is one where there is no error

    def close(self) -> None:
        """End the processes; what they are doing is for nobody any more."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _ask(self, number: int) -> None:
        worker = min(self._workers, key=lambda one: one.owes)
        worker.owes += 1
        try:
            worker.pipe.send((number, number % self._ahead))  # a few bytes, which a pipe always has room for
        except OSError:
            raise _lost(worker) from None

    def _receive(self) -> None:
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for ready in wait(by_pipe):  # the end of a process is the end of its pipe
            worker = by_pipe[ready]  # type: ignore[index]
            try:
                number, answer, error = worker.pipe.recv()
            except (EOFError, OSError):
                raise _lost(worker) from None
            self._done[number] = (answer, error)
            worker.owes -= 1


def _started(context: Any, task: _Task | None) -> _Worker:
    """Start a process; without a task it asks for one, see `_send`."""
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(task, theirs), daemon=True)
    # held back until the process has said what it does about them, lest one prints a traceback of where it was
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with warnings.catch_warnings():
            # forks of processes with threads can hang where a lock was held; these calculate, and hold none of ours
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _Worker(process, ours)


def _send(worker: _Worker, task: bytes) -> None:
    """Send a process its task, once it asks."""
    try:
        worker.pipe.recv()
        worker.pipe.send_bytes(task)
    except (EOFError, OSError):
        raise _lost(worker) from None


def _lost(worker: _Worker) -> ProcessLostError:
    worker.process.join()
    return ProcessLostError(how_ended(worker.process.exitcode))


def how_ended(code: int | None) -> str:
    """Say how a process ended, from its exit code, in words that go on "the process …"."""
    code = code or 0
    if code >= 0:
        return f"ended by itself (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    reason = {"SIGKILL": ", as the system does when memory runs out", "SIGBUS": ": memory ran out"}.get(name, "")
    return f"was killed ({name}{reason})"


# in the other process


def _serve(task: _Task | None, pipe: Connection) -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=follow_parent, daemon=True).start()
    if task is None:
        try:
            pipe.send(None)
            sent = pipe.recv_bytes()
        except (EOFError, OSError):
            os._exit(0)
        task = pickle.loads(sent)
    work, begin = task
    begin()
    while True:
        try:
            number, place = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        answer: tuple[int, Any, Exception | None]
        try:
            answer = (number, work(number, place), None)
        except Exception as error:
            answer = (number, None, _portable(error))
        try:
            pipe.send(answer)
        except OSError:
            os._exit(0)


def follow_parent() -> None:
    """End when the parent does: a killed parent must not leave processes behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says the same where it does not survive pickling; either knows where it was."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
