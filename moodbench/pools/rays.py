"""A pool of Ray actors, on any machine of a cluster.

Ray places the actors, and tells when one is lost with its node. It could also restart actors and try their tasks again
by itself; but then a task waits for its own actor, which waits for room, while other workers are idle. So the task
goes back to whoever gives them out, and the actor is made anew, to be placed where there is room.
"""

from __future__ import annotations

import contextlib
import platform
import queue
import threading
from collections.abc import Iterator
from typing import Any

from moodbench.cluster import refuse_if_ray_is_gone, the_ray
from moodbench.errors import ModelError, MoodbenchError
from moodbench.pools.contract import Advanced, Answered, Event, Failed, Lost, Maker, Ready, Report
from moodbench.pools.local import Throttled


class RayPool:
    """Actors of a cluster that this process has joined.

    Parameters
    ----------
    maker : callable
        Makes a worker; is stored once in the cluster.
    size : int
    cpus : int
        Of each actor.
    gpus : float
        Of each actor.

    Raises
    ------
    ModelError
        The maker cannot be sent to another process.
    """

    def __init__(self, maker: Maker, size: int, *, cpus: int, gpus: float = 0.0) -> None:
        ray = the_ray()
        self.size = size
        try:
            self._maker = ray.put(maker)
        except Exception as error:  # what objects of others raise when they are pickled is anything
            raise ModelError(
                f"what is to be computed cannot be sent to another process: {error}",
                fix="define the network, its transform and its functions in a module that can be imported, or leave "
                "--engine ray out",
            ) from None
        # its own worker is never restarted by Ray, see above
        self._kind = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Actor)
        self._actors: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}

    def __enter__(self) -> RayPool:
        for worker in range(self.size):
            self.replace(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._actors):
            self._end(worker)

    def _end(self, worker: int) -> None:
        ray = the_ray()
        self._streams.pop(worker, None)
        actor = self._actors.pop(worker, None)
        if actor is not None:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.kill(actor)

    def replace(self, worker: int) -> None:
        """Make an actor; it begins where and when there is room for it."""
        self._end(worker)
        self._actors[worker] = actor = self._kind.remote([self._maker])
        self._streams[worker] = actor.ready.remote()

    def give(self, worker: int, task: Any) -> None:
        """Send a task."""
        self._streams[worker] = self._actors[worker].do.remote(task)

    def events(self, seconds: float) -> list[Event]:
        """Return what the actors have told."""
        ray = the_ray()
        workers = {stream: worker for worker, stream in self._streams.items()}
        if not workers:
            threading.Event().wait(seconds)
            return []
        there, _ = ray.wait(list(workers), num_returns=1, timeout=seconds)
        return [event for stream in there if (event := self._received(workers[stream], stream)) is not None]

    def _received(self, worker: int, stream: Any) -> Event | None:
        ray = the_ray()
        try:
            kind, value = ray.get(next(stream))
        except StopIteration:  # the end of an answer's stream
            if self._streams.get(worker) is stream:
                del self._streams[worker]
            return None
        except ray.exceptions.RayTaskError as error:
            return self._over(worker, Failed(worker, RuntimeError(f"in a worker: {error}")))
        except ray.exceptions.RayError as error:
            refuse_if_ray_is_gone()
            return self._over(worker, _lost(worker, error))
        if kind == "advanced":
            return Advanced(worker, value)
        if kind == "failed":
            return self._over(worker, Failed(worker, value.error()))
        return self._over(worker, Ready(worker, value) if kind == "ready" else Answered(worker, value))

    def _over(self, worker: int, event: Event) -> Event:
        """Nothing more comes of what an actor was asked."""
        self._streams.pop(worker, None)
        return event


def _lost(worker: int, error: Exception) -> Event:
    """Say how an actor was lost; Ray's own words are many lines."""
    text = " ".join(str(error).split())
    if "No module named 'moodbench" in text:
        return Failed(
            worker,
            MoodbenchError(
                "a machine of the Ray cluster has no moodbench",
                fix="install the same version on all machines, in the Python that runs `ray start`",
            ),
        )
    kind = type(error).__name__
    if "OutOfMemory" in kind or "memory usage threshold" in text:
        return Lost(worker, "was ended by Ray, as memory ran out on its machine")
    if "node" in kind.lower() or "node was terminated" in text or "node died" in text.lower():
        return Lost(worker, "was lost with its machine")
    if "worker process has died" in text:
        return Lost(worker, "was killed, or ended by itself")
    return Lost(worker, f"was lost ({kind})")


# in the other process


class _Actor:
    """A worker, made once. Whatever it tells is an item of a stream."""

    def __init__(self, maker: list[Any]) -> None:
        self._reference = maker[0]
        self._work: Any = None

    def ready(self) -> Iterator[tuple[str, Any]]:
        """Make the worker."""
        ray = the_ray()
        try:
            self._work = ray.get(self._reference)()
        except Exception as error:
            yield "failed", Report.of(error)
            return
        yield "ready", platform.node()

    def do(self, task: Any) -> Iterator[tuple[str, Any]]:
        """Work, in a thread, so that what it tells in the meantime can be passed on."""
        told: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

        def work() -> None:
            try:
                told.put(("answered", self._work(task, Throttled(lambda amount: told.put(("advanced", amount))))))
            except BaseException as error:
                told.put(("failed", Report.of(error if isinstance(error, Exception) else RuntimeError(repr(error)))))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while True:
            kind, value = told.get()
            yield kind, value
            if kind != "advanced":
                return
