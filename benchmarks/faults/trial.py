"""One attempt in a process of its own, and the counts of many."""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from moodbench.errors import MoodbenchError

Ending = Literal["done", "refused", "traceback", "hang", "died", "memory"]

BYTES = 1 << 30
"""Memory that an attempt may take on top of what the process had before."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes
    ----------
    ending : str
        ``done``; ``refused`` (one of moodbench's own errors); ``traceback`` (any other); ``hang`` (killed after its
        time); ``died`` (a signal, such as a crash of a library); ``memory`` (it ended, but only after taking `BYTES`).
    value : object
        What the work returned.
    message : str
        Of the error.
    """

    ending: Ending
    value: object = None
    message: str = ""


@dataclass
class Row:
    """Counts of one kind of fault; all but `refused` and `harmless` should be 0."""

    kind: str
    runs: int = 0
    refused: int = 0
    harmless: int = 0
    wrong: int = 0
    traceback: int = 0
    hang: int = 0
    lost: int = 0
    examples: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome, *, right: bool, lost: bool = False, case: str = "") -> None:
        """Add an attempt; `right` says whether what it returned is what an undisturbed one returns."""
        self.runs += 1
        if outcome.ending in ("traceback", "died"):
            column = "traceback"
        elif outcome.ending in ("hang", "memory"):
            column = "hang"
        elif lost:
            column = "lost"
        elif outcome.ending == "refused":
            column = "refused"
        else:
            column = "harmless" if right else "wrong"
        setattr(self, column, getattr(self, column) + 1)
        if column not in ("refused", "harmless") and len(self.examples) < 5:
            self.examples.append(f"{column}: {case} {outcome.message}".strip())


def attempt(work: Callable[[], object], *, seconds: float = 60, limit: int = BYTES) -> Outcome:
    """Do `work` in a forked process and say how it ended; what it returns must be picklable.

    Its output is thrown away. `limit` is the memory in bytes that it may take beyond what this process holds.
    """
    return side_by_side([work], seconds=seconds, limit=limit)[0]


def side_by_side(works: Sequence[Callable[[], object]], *, seconds: float = 60, limit: int = BYTES) -> list[Outcome]:
    """Do several things at once, each in a forked process that begins when all are there; as `attempt` otherwise."""
    begin, go = os.pipe()
    before, end = _resident(), time.monotonic() + seconds
    running = []
    for work in works:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go)
            os.close(read)
            os.read(begin, 1)  # returns when the parent closes the other end
            _in_child(work, write)
        os.close(write)
        running.append((child, read))
    os.close(begin)
    os.close(go)
    return [_ended(child, read, end, before + limit) for child, read in running]


def _ended(child: int, read: int, end: float, most: int) -> Outcome:
    data, late = _read_until(read, end)
    os.close(read)
    if late:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if late:
        return Outcome("hang", message="no end in time")
    if not data:
        return Outcome("died", message=f"status {status}")
    outcome: Outcome = pickle.loads(data)
    unit = 1 if sys.platform == "darwin" else 1024
    taken = usage.ru_maxrss * unit - most
    if taken > 0:
        return Outcome("memory", message=f"{taken / 2**30:.1f} GiB too many; {outcome.ending}: {outcome.message}")
    return outcome


def _in_child(work: Callable[[], object], write: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        outcome = Outcome("done", work())
    except MoodbenchError as error:
        outcome = Outcome("refused", message=str(error))
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome = Outcome("traceback", message=f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})")
    try:
        with os.fdopen(write, "wb") as stream:
            pickle.dump(outcome, stream)
    finally:
        os._exit(0)


def _read_until(read: int, end: float) -> tuple[bytes, bool]:
    """Return what came before the other side closed, and whether it took longer than until `end`."""
    pieces: list[bytes] = []
    while (left := end - time.monotonic()) > 0:
        if not select.select([read], [], [], left)[0]:
            break
        piece = os.read(read, 1 << 16)
        if not piece:
            return b"".join(pieces), False
        pieces.append(piece)
    return b"", True


def _resident() -> int:
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
