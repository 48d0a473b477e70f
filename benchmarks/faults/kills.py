"""Processes that are killed, and disks that are full, at every step of a change; the next run finds nothing lost."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults import tiny
from benchmarks.faults.steps import Steps, error, watched
from benchmarks.faults.trial import Outcome, Row, attempt
from moodbench.commands.cache import remove_caches, verify_caches
from moodbench.commands.probe import probe
from moodbench.commands.table import table
from moodbench.features.heads import is_left_over
from moodbench.features.reader import RowReader
from moodbench.workspace import ModelName, Workspace

Work = Callable[[Workspace], object]

MOST_STEPS = 120


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Stop each command before each of its steps, and at random moments; look, run it again, and look again."""
    space = tiny.make(folder / "tiny", seed)
    scored = tiny.copy(space, folder / "scored")
    attempt(partial(tiny.run, scored, "knn"))
    works: tuple[tuple[str, Workspace, Work], ...] = (
        ("first score", space, lambda at: tiny.run(at, "euclid")),
        ("score that keeps rows", scored, lambda at: tiny.run(at, "euclid")),
        ("import", space, lambda at: tiny.put(at, "far", model="new")),
        ("probe", space, _probe),
        ("cache remove", space, _remove),
    )
    for name, begin, work in works:
        yield _every_step(f"kill -9 before every step: {name}", begin, work, folder, _killed)
        yield _every_step(f"disk full at every step: {name}", begin, work, folder, _full)
        yield _sizes(f"files may grow no longer: {name}", begin, work, folder)
        yield _moments(f"kill -9 at random moments: {name}", begin, work, folder, random.Random(seed))


def _probe(space: Workspace) -> object:
    return [one.file.name for one in probe(tiny.MODEL, benchmark=tiny.BENCHMARK, threads=1, workspace=space)]


def _remove(space: Workspace) -> None:
    if space.cached_datasets(ModelName(tiny.MODEL)):
        remove_caches(space, tiny.MODEL)


def _every_step(kind: str, begin: Workspace, work: Work, folder: Path, stop: Callable[[], None]) -> Row:
    row, check = Row(kind), _Check(begin, work, folder)
    for at in range(MOST_STEPS):
        steps = Steps(at, stop)

        def stopped(here: Workspace, steps: Steps = steps) -> int:
            with watched(steps):
                work(here)
            return steps.count

        outcome = check.count(row, stopped, f"step {at}")
        if outcome.ending == "done" and outcome.value <= at:  # type: ignore[operator]
            break
    return row


def _sizes(kind: str, begin: Workspace, work: Work, folder: Path) -> Row:
    """Let the system refuse to let any file grow beyond so many bytes."""
    row, check = Row(kind), _Check(begin, work, folder)
    for size in (0, 1, 100, 1000, 3000, 6000, 10_000):

        def limited(here: Workspace, size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                work(here)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        check.count(row, limited, f"{size} bytes")
    return row


def _moments(kind: str, begin: Workspace, work: Work, folder: Path, chance: random.Random) -> Row:
    row, check = Row(kind), _Check(begin, work, folder)
    for number in range(12):

        def killed(here: Workspace, after: float = chance.random() * check.seconds) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, after)  # what it does by default is what kill does: end, at once
            work(here)

        check.count(row, killed, str(number))
    return row


class _Check:
    """Compares what is there after a stop, and after the next run, with what an undisturbed run leaves."""

    def __init__(self, begin: Workspace, work: Work, folder: Path) -> None:
        self.begin, self.work, self.folder = begin, work, folder
        self.before = _state(begin)
        alone = tiny.copy(begin, folder / "alone")
        start = time.monotonic()
        attempt(partial(work, alone))
        self.seconds = time.monotonic() - start
        self.after = _state(alone)
        shutil.rmtree(tiny.home(alone))

    def count(self, row: Row, work: Work, case: str) -> Outcome:
        here = tiny.copy(self.begin, self.folder / "here")
        outcome = attempt(partial(work, here))
        shown = attempt(partial(_shown, here))
        again = attempt(partial(self.work, here))
        left = tiny.left_over(here)
        lost = shown.ending == "traceback" or again.ending != "done" or _state(here) != self.after or bool(left)
        faults = [one for one in verify_caches(here) if getattr(one, "fault", None) is not None]
        ended = Outcome("done") if outcome.ending == "died" else outcome  # that is what was asked for
        why = f"{case}: {left or ''} {again.message} {shown.message if shown.ending == 'traceback' else ''}"
        row.count(ended, right=True, lost=lost or bool(faults), case=why)
        shutil.rmtree(tiny.home(here))
        return outcome


def _state(space: Workspace) -> dict[str, object]:
    """Return everything that counts: of caches the contents (their bytes hold a time), of other files the bytes.

    A head that no cache needs is in nobody's way, and does not count.
    """
    root = tiny.home(space)
    files = (file for folder in (space.cache_dir, space.results_dir) for file in folder.rglob("*.*") if file.is_file())
    seen: dict[str, object] = {}
    for file in files:
        name = str(file.relative_to(root))
        if file.name.startswith(".") or (file.name == "head.h5" and is_left_over(file)):
            continue
        is_cache = file.parent.parent == space.cache_dir and file.name != "head.h5"
        seen[name] = RowReader(file).fingerprint if is_cache else file.read_bytes()
    return seen


def _shown(space: Workspace) -> str:
    return table(format="csv", workspace=space) if space.results_dir.exists() else ""


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_full = error(errno.ENOSPC)
