"""Replays a plan of shards: workers that take one after another, slow ones, ones that die, and what is left at the end.

Event by event, with random numbers of a seed; no clock, no process. `benchmarks.scaling.real` compares it with runs.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from benchmarks.scaling.constants import value
from moodbench.features.shards.plan import ShardPlan
from moodbench.features.shards.share import whole_batches


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    count : int
    start : float
        Seconds from being asked for to the first batch.
    row : float
        Seconds of a row.
    shard : float
        Seconds of a shard besides its rows: making the file, waiting for the first batch, sealing it.
    spread : float
        Standard deviation of the logarithm of a shard's time.
    slow, slowness : float
        Share of workers that are slow, and how many times slower.
    deaths : float
        A worker and hour.
    again : float
        Seconds until a worker that died is replaced, before `start`.
    keeps : bool
        The shard of a worker that died goes on where it stood (less a batch); else it is done anew.
    batch : int
        Rows that are written at once.
    """

    count: int
    row: float
    start: float = field(default_factory=lambda: value("start"))
    shard: float = field(default_factory=lambda: value("shard"))
    spread: float = field(default_factory=lambda: value("spread"))
    slow: float = field(default_factory=lambda: value("slow workers"))
    slowness: float = field(default_factory=lambda: value("slowness"))
    deaths: float = field(default_factory=lambda: value("deaths"))
    again: float = field(default_factory=lambda: value("return"))
    keeps: bool = True
    batch: int = 64


@dataclass
class Replay:
    """What came of it.

    Attributes
    ----------
    seconds : float
        Until the last row was there.
    ideal : float
        All rows shared evenly among workers that start at once, are never slow and never die.
    deaths : int
    again : int
        Rows that were computed more than once.
    waited : float
        Seconds from the first worker without work to the end.
    """

    seconds: float
    ideal: float
    deaths: int
    again: int
    waited: float

    @property
    def efficiency(self) -> float:
        """The ideal time over the time."""
        return self.ideal / self.seconds


class _Run:
    def __init__(self, shards: Sequence[int], workers: Workers, seed: int, killed: Mapping[int, float]) -> None:
        self.workers, self.chance, self.killed = workers, random.Random(seed), dict(killed)
        self.queue = deque(shards)
        self.left = len(shards)
        self.speed = [self._slowness() for _ in range(workers.count)]
        self.dies = [0.0] * workers.count
        self.events: list[tuple[float, int, str, int, int]] = []
        self.idle: list[int] = []
        self.number = self.deaths = self.again = 0
        self.without_work: float | None = None

    def _slowness(self) -> float:
        return self.workers.slowness if self.chance.random() < self.workers.slow else 1.0

    def at(self, time: float, what: str, worker: int, rows: int = 0) -> None:
        """Note that something happens; of equal times, what was noted first."""
        heapq.heappush(self.events, (time, self.number, what, worker, rows))
        self.number += 1

    def begin(self, now: float, worker: int) -> None:
        """Let a worker start: it lives from then on."""
        alive = self.chance.expovariate(self.workers.deaths / 3600) if self.workers.deaths else math.inf
        alive = self.killed.pop(worker, alive)  # it is killed once; its successor is not
        self.dies[worker] = now + alive
        if alive < self.workers.start:
            self.at(self.dies[worker], "died", worker)
        else:
            self.at(now + self.workers.start, "free", worker)

    def take(self, now: float, worker: int) -> None:
        """Give a worker the next shard."""
        if not self.queue:
            self.idle.append(worker)
            self.without_work = now if self.without_work is None else self.without_work
            return
        if self.dies[worker] <= now:  # it died while it had nothing to do
            self.deaths += 1
            self.at(now + self.workers.again, "new", worker)
            return
        rows, how = self.queue.popleft(), self.workers
        pace = self.speed[worker] * self.chance.lognormvariate(-(how.spread**2) / 2, how.spread)
        seconds = how.shard + rows * how.row * pace
        if now + seconds <= self.dies[worker]:
            self.at(now + seconds, "done", worker)
            return
        share = max(0.0, self.dies[worker] - now - how.shard) / max(1e-12, rows * how.row * pace)
        done = min(rows - 1, int(rows * share))
        kept = done // how.batch * how.batch if how.keeps else 0
        self.again += done - kept
        self.at(self.dies[worker], "died", worker, rows - kept)

    def run(self) -> tuple[float, float]:
        """Return the time of the last row, and when the first worker found no shard."""
        for worker in range(self.workers.count):
            self.begin(0.0, worker)
        while self.left:
            now, _, what, worker, rows = heapq.heappop(self.events)
            if what == "died":
                self.deaths += 1
                if rows:
                    self.queue.appendleft(rows)
                self.at(now + self.workers.again, "new", worker)
                if rows and self.idle:
                    self.take(now, self.idle.pop())
            elif what == "new":
                self.begin(now, worker)
            else:
                self.left -= what == "done"
                self.take(now, worker)
        return now, now if self.without_work is None else self.without_work


def replay(
    shards: Sequence[int], workers: Workers, seed: int = 0, killed: Mapping[int, float] = MappingProxyType({})
) -> Replay:
    """Let workers do shards of so many rows, in order; `killed` are those that die at a given time, from the start.

    The ideal is that of workers that need `Workers.row` for a row and nothing for anything else.
    """
    run = _Run(shards, workers, seed, killed)
    seconds, without_work = run.run()
    ideal = sum(shards) * workers.row / workers.count
    return Replay(seconds, ideal, run.deaths, run.again, seconds - without_work)


def plan(rows: int, per_shard: int, batch: int = 1) -> list[int]:
    """Return the rows of every shard of the plan that `extract` makes."""
    made = ShardPlan("m", "d", rows, whole_batches(per_shard, batch), "", batch, False, 1, None, [], None, {})
    return [made.note(index)["rows"] for index in range(1, made.shards + 1)]
