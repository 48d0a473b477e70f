"""Hands the work of an engine out to a Ray cluster: ranges of rows, whose statistics are merged in a tree.

The ranges and the tree are those of the rows, not of the workers: the bits are the same on one worker and on a hundred,
whoever was faster. Who does what, and again when a worker or a machine dies, is Ray's business.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

from moodbench.cluster import Cluster, cluster, fault_of, the_ray
from moodbench.errors import UsageError
from moodbench.evaluation.elsewhere import Answer
from moodbench.evaluation.engine import AGAINST_BANK, Engine
from moodbench.evaluation.remote import worker
from moodbench.evaluation.remote.sent import packed, unpacked
from moodbench.features.reader import RowReader
from moodbench.scores.base import Score
from moodbench.scores.machinery.passes import Faults
from moodbench.scores.machinery.statistics import Statistic
from moodbench.scores.machinery.written import is_own

K = TypeVar("K")
V = TypeVar("V")

BLOCKS = 8
"""Blocks in a range of rows: with the usual size of a block, as many rows as a shard of a cache has (16,384)."""

MOST_RANGES = 512
"""Ranges of a pass; with more rows they have more blocks each. What is learned of each is sent and merged."""

RETRIES = 5
"""How often a task is done again whose worker died."""

AT_HOME = {"class covariances", "scikit-learn"}
"""Kinds of scores that stay in the process of the command: too large to be sent, or with processes of their own."""


class OnRay:
    """Does an engine's work on a Ray cluster, which is joined or started when it is first needed.

    Parameters
    ----------
    address, workers
        As those of `moodbench.cluster.cluster`.
    threads : int, optional
        CPU threads of each worker; by default one.
    device : torch.device
        With a GPU, each worker has one of the cluster's.
    """

    def __init__(self, address: str | None, workers: int | None, threads: int | None, device: torch.device) -> None:
        if device.index:
            raise UsageError(
                f"which GPU a worker has is Ray's business, and '{device}' is asked for", fix="--device cuda"
            )
        self._address, self._workers, self._threads, self._device = address, workers, threads or 1, device.type
        self._left = ExitStack()
        self._there: Cluster | None = None
        self._remote: dict[Callable[..., Any], Any] = {}
        self._setup: tuple[Engine, worker.Sent] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._setup = None
        self._left.close()

    def one_pass(
        self, engine: Engine, wanted: Mapping[Hashable, Statistic[Any]], tick: Callable[[float], object]
    ) -> tuple[dict[Hashable, Statistic[Any]], Faults]:
        """Show ID train to statistics, range by range, and merge them; those that cannot be sent are left out."""
        keys = list(wanted)
        some, data = _sendable(dict(enumerate(wanted.values())), engine)
        if not some:
            return {}, {}
        setup, sent = self._sent(engine), _put(data)
        parts = [("train", engine.caches.train)] if any(s.part == "train" for s in some.values()) else []
        if any(s.part == "held_out" for s in some.values()):
            held_out = engine.caches.held_out
            parts = [("train", engine.caches.train)] if held_out is None else [*parts, ("held out", held_out)]
        todo = [(part, rows, reader) for part, reader in parts for rows in ranges(reader, engine.size)]
        tree = _Tree(lambda one, other: self._task(worker.merge, (setup, one, other)))
        calls = ((worker.update, (setup, sent, part, rows)) for part, rows, _ in todo)
        for number, ended in self._each(calls, tree.add):
            self._get(ended)
            part, rows, reader = todo[number]
            tick(reader.before(rows.stop) - reader.before(rows.start) if part == "train" else 0)
        root: dict[int, tuple[Statistic[Any], BaseException | None]] = unpacked(self._get(tree.root()), engine)
        faults: Faults = {keys[i]: fault for i, (_, fault) in root.items() if fault is not None}
        return {keys[i]: one for i, (one, fault) in root.items() if fault is None}, faults

    def score(self, engine: Engine, scores: Mapping[str, Score], tested: Mapping[str, RowReader]) -> Iterator[Answer]:
        """Yield what fitted scores say of the test rows; those of other people, and a few kinds, are left out."""
        some = {name: one for name, one in scores.items() if is_own(type(one)) and one.cost not in AT_HOME}
        some, data = _sendable(some, engine)
        if not some:
            return
        setup, fitted = self._sent(engine), _put(data)
        asks = True
        failed: dict[str, tuple[int, str]] = {}
        for names, parts, what in self._groups(engine, some, tested):
            rows = [
                sum(tested[name].before(r.stop) - tested[name].before(r.start) for name, r in part) for part in parts
            ]
            calls = ((worker.score, (setup, fitted, names, part, asks)) for part in parts)
            with engine.progress.phase(what, sum(rows)) as tick:
                for number, ref in self._each(calls):
                    answer: Answer = self._get(ref)
                    for name, why in answer.failures.items():  # of several the first, as when rows come in order
                        failed[name] = min(failed.get(name, (number, why)), (number, why))
                    yield replace(answer, failures={})
                    tick(rows[number])
            asks = False
        yield Answer([], {}, {name: why for name, (_, why) in failed.items()}, [])

    def _groups(
        self, engine: Engine, scores: Mapping[str, Score], tested: Mapping[str, RowReader]
    ) -> Iterator[tuple[list[str], list[list[tuple[str, range]]], str]]:
        """Yield which scores are asked about which ranges in one task, as an engine does on its own."""
        products = [name for name, one in scores.items() if one.cost == "products"]
        others = [name for name in scores if name not in products]
        if products:
            parts = [[(name, r)] for name, reader in tested.items() for r in reader.ranges(BLOCKS * engine.size)]
            yield products, parts, "test rows"
        if others:  # each walk over the bank serves as many rows as leaves every worker something to do
            blocks = [(name, r) for name, reader in tested.items() for r in reader.ranges(engine.size)]
            each = min(AGAINST_BANK, max(1, -(-len(blocks) // self._cluster.workers)))
            parts = [blocks[start : start + each] for start in range(0, len(blocks), each)]
            yield others, parts, "test rows against ID train"

    @property
    def _cluster(self) -> Cluster:
        if self._there is None:
            gpus = 1 if self._device == "cuda" else 0
            self._there = self._left.enter_context(
                cluster(self._address, self._workers, cpus_each=self._threads, gpus_each=gpus)
            )
        return self._there

    def _sent(self, engine: Engine) -> worker.Sent:
        """Return what workers make their engine of; it is sent once for an engine."""
        if self._setup is None or self._setup[0] is not engine:
            assert self._cluster
            made = worker.Setup(
                str(Path.cwd()), packed(engine.caches), self._device, engine.size, engine.bank_rows, self._threads
            )
            self._setup = engine, _put(made)
        return self._setup[1]

    def _task(self, work: Callable[..., Any], arguments: Sequence[Any], returns: int = 1) -> Any:
        if work not in self._remote:
            there = self._cluster
            # without a limit of calls: a process with a GPU would end after each
            how = {"num_cpus": there.cpus_each, "num_gpus": there.gpus_each, "max_retries": RETRIES, "max_calls": 0}
            self._remote[work] = the_ray().remote(num_returns=returns, **how)(work)
        return self._remote[work].remote(*arguments)

    def _each(
        self,
        calls: Iterator[tuple[Callable[..., Any], Sequence[Any]]],
        begun: Callable[[Any], object] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Have tasks done, no more at once than there are workers; yield the number and the result of each as it ends.

        With `begun`, they return two things: that they ended, which is yielded, and what `begun` is given, in order.
        """
        ray = the_ray()
        running: dict[Any, int] = {}
        for number, (work, arguments) in enumerate(calls):
            while len(running) >= self._cluster.workers:
                (ref,), _ = ray.wait(list(running), num_returns=1, fetch_local=False)
                yield running.pop(ref), ref
            if begun is None:
                ref = self._task(work, arguments)
            else:
                ref, result = self._task(work, arguments, returns=2)
                begun(result)
            running[ref] = number
        while running:
            (ref,), _ = ray.wait(list(running), num_returns=1, fetch_local=False)
            yield running.pop(ref), ref

    def _get(self, ref: Any) -> Any:
        ray = the_ray()
        try:
            return ray.get(ref)
        except (ray.exceptions.RayError, ImportError) as error:
            raise fault_of(error) from None


class _Tree:
    """Merges results pairwise as they are begun, those of neighbours, in the order of the rows."""

    def __init__(self, merge: Callable[[Any, Any], Any]) -> None:
        self._merge = merge
        self._open: list[tuple[int, Any]] = []  # of each the number of merges below it, falling

    def add(self, result: Any) -> None:
        """Take the next result."""
        height = 0
        while self._open and self._open[-1][0] == height:
            result = self._merge(self._open.pop()[1], result)
            height += 1
        self._open.append((height, result))

    def root(self) -> Any:
        """Return all of them, merged."""
        result = self._open.pop()[1]
        while self._open:
            result = self._merge(self._open.pop()[1], result)
        return result


def ranges(reader: RowReader, block: int) -> list[range]:
    """Return the ranges of rows that one task each is shown: whole blocks, however many workers there are."""
    size = BLOCKS * block
    return reader.ranges(size * max(1, -(-len(reader.ranges(size)) // MOST_RANGES)))


def _sendable(items: Mapping[K, V], engine: Engine) -> tuple[dict[K, V], bytes]:
    """Return those of statistics or scores that can be sent to another process, and all these as bytes."""
    try:
        return dict(items), packed(dict(items), engine)
    except Exception:  # one of them holds what belongs to this process
        some = {key: one for key, one in items.items() if _can_be_sent(one, engine)}
        return some, packed(some, engine)


def _can_be_sent(item: object, engine: Engine) -> bool:
    try:
        packed(item, engine)
    except Exception:
        return False
    return True


def _put(item: object) -> worker.Sent:
    """Put something where all workers find it."""
    return uuid.uuid4().hex, [the_ray().put(item)]
