"""Gives tasks to a pool of workers until all are done, whoever of them dies.

A task whose worker is lost goes to another; one that has cost several workers is at fault itself, and is named. A task
that somebody else holds (`HeldError`: a worker that was taken for dead may still write) is tried again later.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from moodbench.errors import MoodbenchError
from moodbench.pools.contract import Advanced, Answered, Failed, Lost, Pool, Ready

TRIES = 3
"""Workers that one task may cost."""

STARTS = 3
"""Workers in a row that may die before they are ready."""

HELD_PAUSE, HELD_SECONDS = 1.0, 150.0
"""When a task that somebody else holds is tried again, and for how long. A lock of a client of NFS that died is held
until its lease ends: 90 seconds by default."""

QUIET_SECONDS = 30.0
"""After so long without any worker, that is said."""

Task = TypeVar("Task")
Told = Callable[[str], None]


@dataclass
class _Round(Generic[Task]):
    """Tasks that are given out together, and what has become of them.

    `later` says when a task that somebody else holds is tried again, and since when it is held; `part` how much each
    worker has told of its task.
    """

    waiting: list[Task]
    answered: Callable[[Task, object], None]
    advanced: Callable[[float], object]
    tries: Counter[Task] = field(default_factory=Counter)
    later: dict[Task, tuple[float, float]] = field(default_factory=dict)
    part: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = len(self.waiting)

    def advance(self, worker: int, amount: float) -> None:
        self.part[worker] = self.part.get(worker, 0) + amount
        self.advanced(amount)

    def end(self, worker: int, task: Task, answer: object) -> None:
        self.left -= 1
        self.part.pop(worker, None)
        self.later.pop(task, None)
        self.answered(task, answer)

    def wait(self, worker: int, task: Task) -> None:
        clock = time.monotonic()
        self.later[task] = clock + HELD_PAUSE, self.later.get(task, (0.0, clock))[1]
        self.waiting.append(task)
        self._undo(worker)

    def again(self, worker: int, task: Task) -> None:
        self.tries[task] += 1
        self.waiting.insert(0, task)
        self._undo(worker)

    def _undo(self, worker: int) -> None:
        """Take back what was told of a task, which whoever has it next tells anew."""
        part = self.part.pop(worker, 0)
        if part:
            self.advanced(-part)


class Dispatcher(Generic[Task]):
    """The tasks of one work, given to the workers of a pool.

    Parameters
    ----------
    pool : Pool
        Entered.
    name : callable
        Task → how a message calls it.
    held : callable
        Whether an error means that somebody else holds what the task needs.
    report : callable
        Is told which workers were lost, line by line.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        name: Callable[[Task], str],
        held: Callable[[Exception], bool] = lambda error: False,
        report: Told = lambda line: None,
    ) -> None:
        self._pool, self._name, self._is_held, self._report = pool, name, held, report
        self._idle: list[int] = []
        self._where: dict[int, str] = {}
        self._running: dict[int, Task] = {}
        self._given_up: set[int] = set()
        self._starts = 0
        self._silent_since = time.monotonic()

    @property
    def places(self) -> dict[int, str]:
        """Machine of each worker that has been ready."""
        return self._where

    def run(
        self,
        tasks: Sequence[Task],
        answered: Callable[[Task, object], None],
        advanced: Callable[[float], object] = lambda amount: None,
    ) -> None:
        """Give out the tasks, and return when all are answered.

        Parameters
        ----------
        tasks : sequence
            Hashable.
        answered : callable
            (task, answer), as they come.
        advanced : callable
            So much more is done of some task; less than nothing where a worker is lost whose part has to be done again.

        Raises
        ------
        MoodbenchError
            What a task raised; workers die, one after another, at a task or before they are ready.
        """
        try:
            self._run(_Round(list(tasks), answered, advanced))
        except BaseException:
            self._given_up |= set(self._running)  # what they will tell is for nobody
            raise

    def _run(self, now: _Round[Task]) -> None:
        while now.left:
            self._give_out(now)
            for event in self._pool.events(HELD_PAUSE if now.later else 5.0):
                worker = event.worker
                if isinstance(event, Ready):
                    self._starts = 0
                    self._where[worker] = event.where
                    self._idle.append(worker)
                elif isinstance(event, Advanced):
                    if worker not in self._given_up:
                        now.advance(worker, event.amount)
                else:
                    self._ended(now, event)
            self._say_if_alone(bool(now.waiting))

    def _ended(self, now: _Round[Task], event: Answered | Failed | Lost) -> None:
        """Take note that a worker has no task any more."""
        worker = event.worker
        task = self._running.pop(worker, None)
        if worker in self._given_up:
            self._given_up.discard(worker)
            task = None
        elif isinstance(event, Failed) and not (task is not None and self._may_wait(event.error, now.later.get(task))):
            if task is not None:
                self._idle.append(worker)
            raise event.error
        if not isinstance(event, Lost):
            self._idle.append(worker)
        if isinstance(event, Answered) and task is not None:
            now.end(worker, task, event.answer)
        elif isinstance(event, Failed) and task is not None:
            now.wait(worker, task)
        elif isinstance(event, Lost):
            if task is not None:
                now.again(worker, task)
            self._lost(worker, event.how, task, now.tries)

    def _give_out(self, now: _Round[Task]) -> None:
        clock = time.monotonic()
        for task in [one for one in now.waiting if now.later.get(one, (0.0, 0.0))[0] <= clock]:
            if not self._idle:
                return
            worker = self._idle.pop(0)
            now.waiting.remove(task)
            self._running[worker] = task
            self._pool.give(worker, task)

    def _may_wait(self, error: Exception, known: tuple[float, float] | None) -> bool:
        return self._is_held(error) and (known is None or time.monotonic() - known[1] < HELD_SECONDS)

    def _lost(self, worker: int, how: str, task: Task | None, tries: Counter[Task]) -> None:
        """Make a lost worker anew, unless it is the task's fault, or none ever gets ready."""
        if worker in self._idle:
            self._idle.remove(worker)
        where = self._where.pop(worker, None)
        named = f"worker {worker + 1}" + (f" on {where}" if where else "")
        if task is not None and tries[task] >= TRIES:
            raise MoodbenchError(
                f"{self._name(task)} cannot be computed: it has cost {TRIES} workers, the last of which {how}",
                fix="fewer workers, or smaller batches (--batch-size) in a new cache, where memory runs out; the same "
                "command, run again, keeps what is done",
            )
        if where is None:
            self._starts += 1
            if self._starts >= STARTS:
                raise MoodbenchError(
                    f"no worker gets ready: of {STARTS} in a row, each was lost as it began, and the last {how}",
                    fix="fewer workers, where memory runs out; a script of your own starts its work below\n"
                    "if __name__ == '__main__':",
                )
        goes = f"; {self._name(task)} goes to another" if task is not None else ""
        self._report(f"{named} {how}{goes}")
        self._pool.replace(worker)

    def _say_if_alone(self, waiting: bool) -> None:
        """Say now and then that there is work and nobody to do it, as a cluster without room looks like a hang."""
        now = time.monotonic()
        if self._running or self._idle or not waiting:
            self._silent_since = now
        elif now - self._silent_since > QUIET_SECONDS:
            self._silent_since = now
            self._report("waiting for a worker: none has room to run, or none is ready yet")
