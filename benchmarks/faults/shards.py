"""Caches in shards: jobs that are killed, disks that are full, commands that meet, renames and locks as on NFS."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks.faults.pieces import SHARDS, Check, Extractor, cache_of, contents, packed, pictures, shards_of
from benchmarks.faults.steps import Steps, error, watched
from benchmarks.faults.trial import Outcome, Row, attempt, side_by_side
from benchmarks.faults.workers import mount
from moodbench.errors import MoodbenchError
from moodbench.shard_names import shards_folder

Work = Callable[[Path], object]

JOBS, PACKS, RACES, DISKS = 40, 30, 30, 40
"""Trials: three jobs are killed in each of the first."""

MOST_STEPS = 150


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Disturb each command; do it again, and find what an undisturbed run leaves, to the bit."""
    chance = random.Random(seed)
    extractor = Extractor(pictures(folder / "pictures", seed))
    empty = Check(extractor, folder / "empty")
    last = Check(extractor, folder / "last", extractor.but_the_last)
    joined = Check(extractor, folder / "joined", extractor.jobs)
    yield _killed_jobs(empty, chance)
    yield _lost_folders(joined, chance)
    job = partial(extractor.job, SHARDS)
    works: tuple[tuple[str, Check, Work], ...] = (
        ("the first shard, and the plan", empty, partial(extractor.job, 1)),
        ("the last shard, and the manifest", last, job),
        ("cache pack", joined, packed),
    )
    for name, check, work in works:
        again = packed if work is packed else extractor.whole
        yield _every_step(f"shards: kill -9 before every step: {name}", check, work, again, _kill)
        yield _every_step(f"shards: disk full at every step: {name}", check, work, again, error(errno.ENOSPC))
        yield _every_step(f"shards: stale handles (NFS) at every step: {name}", check, work, again, error(errno.ESTALE))
        yield _answers(f"shards: renames done and reported as failed (NFS): {name}", check, work, again)
        yield _sizes(f"shards: files may grow no longer: {name}", check, work, again, chance)
    yield _moments("shards: kill -9 at random moments: cache pack", joined, packed, chance)
    yield _without_locks(empty, extractor)
    if attempt(lambda: mount("size=1m")).ending == "done":
        yield _small_disks(extractor, empty, chance)
    yield _races(extractor, empty, joined, chance)


def _killed_jobs(check: Check, chance: random.Random) -> Row:
    """Three jobs at once, each killed at some moment; then all jobs of the array once more."""
    row = Row("shards: kill -9 of three jobs at once at random moments")
    extractor = check.extractor
    seconds = _seconds(partial(extractor.jobs, check.place()))
    for number in range(JOBS):
        here = check.place()
        mine = chance.sample(range(1, SHARDS + 1), 3)
        works = [partial(_within, chance.random() * seconds, partial(extractor.job, i), here) for i in mine]
        outcomes = side_by_side(works)
        check.count(row, here, _worst(outcomes), f"{number}: {mine}", extractor.jobs)
    return row


def _lost_folders(check: Check, chance: random.Random) -> Row:
    """Shards that are gone, as with a node's disk: named, and made anew as the message says."""
    row = Row("shards: a shard is lost after they were joined")
    for number in range(12):
        here = check.place()
        gone = chance.choice(shards_of(here))
        gone.unlink()
        seen = attempt(partial(contents, here))
        if seen.ending == "refused" and gone.name in seen.message:
            cache_of(here).unlink()  # as it says
        check.count(row, here, seen, f"{number}: {gone.name}", check.extractor.whole)
    return row


def _every_step(kind: str, check: Check, work: Work, again: Work, stop: Callable[[], None]) -> Row:
    row = Row(kind)
    for at in range(MOST_STEPS):
        here, steps = check.place(), Steps(at, stop)

        def stopped(here: Path = here, steps: Steps = steps) -> int:
            with watched(steps):
                work(here)
            return steps.count

        outcome = attempt(stopped)
        check.count(row, here, outcome, f"step {at}", again)
        if outcome.ending == "done" and outcome.value <= at:  # type: ignore[operator]
            break
    return row


def _answers(kind: str, check: Check, work: Work, again: Work) -> Row:
    """The answer of a server is lost, the request is sent again, and the second answer says that there is no file."""
    row = Row(kind)
    for at in range(20):
        here = check.place()
        outcome = attempt(partial(_misreported, at, partial(work, here)))
        check.count(row, here, outcome, f"rename {at}", again)
        if outcome.ending == "done" and outcome.value <= at:  # type: ignore[operator]
            break
    return row


def _misreported(at: int, work: Callable[[], object]) -> int:
    count = 0

    def told(real: Callable[..., None]) -> Callable[..., None]:
        def rename(*given: object, **how: object) -> None:
            nonlocal count
            real(*given, **how)
            count += 1
            if count == at + 1:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

        return rename

    with patch("os.rename", told(os.rename)), patch("os.replace", told(os.replace)):
        work()
    return count


def _sizes(kind: str, check: Check, work: Work, again: Work, chance: random.Random) -> Row:
    row = Row(kind)
    for size in (0, 1, 100, 1000, *(chance.randrange(40_000) for _ in range(8))):
        here = check.place()

        def limited(here: Path = here, size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                work(here)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        check.count(row, here, attempt(limited), f"{size} bytes", again)
    return row


def _moments(kind: str, check: Check, work: Work, chance: random.Random) -> Row:
    row = Row(kind)
    seconds = _seconds(partial(work, check.place()))
    for number in range(PACKS):
        here = check.place()
        outcome = attempt(partial(_within, chance.random() * seconds, work, here))
        check.count(row, here, outcome, str(number), work)
    return row


def _without_locks(check: Check, extractor: Extractor) -> Row:
    """A file system without locks: one message, and nothing is begun."""
    row = Row("shards: a file system without locks")
    for number in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO):
        for index in range(1, SHARDS + 1):
            here = check.place()
            with patch("fcntl.lockf", lambda *_, number=number: error(number)()):
                outcome = attempt(partial(extractor.job, index, here))
            check.count(row, here, outcome, os.strerror(number), extractor.jobs)
    return row


def _small_disks(extractor: Extractor, check: Check, chance: random.Random) -> Row:
    """A disk of some size is full at some write; with more room the work ends as if nothing had been."""
    row = Row("shards: a disk of random size is full, and grows")
    for _ in range(DISKS):
        size = chance.randrange(1000, 1400)  # caches ask for a megabyte more than they need

        outcome = attempt(partial(_on_a_disk_of, size, extractor))
        refused, found = outcome.value if isinstance(outcome.value, tuple) else (False, None)
        lost = outcome.ending == "done" and found != check.right[0]
        row.count(Outcome("refused") if refused else outcome, right=True, lost=lost, case=f"{size} KiB")
    return row


def _on_a_disk_of(size: int, extractor: Extractor) -> tuple[bool, str]:
    """Extract and pack on a disk of so many KiB; say whether that was refused, and what there is once it has grown."""
    mount(f"size={size}k")
    place, refused = Path("/dev/shm/x"), False
    try:
        extractor.jobs(place)
        packed(place)
    except MoodbenchError:
        refused = True
    subprocess.run(["mount", "-o", "remount,size=64m", "/dev/shm"], check=True, capture_output=True)
    extractor.jobs(place)
    packed(place)
    return refused, contents(place)


def _races(extractor: Extractor, empty: Check, joined: Check, chance: random.Random) -> Row:
    """Commands that meet on one folder: each ends, or says that another is at work."""
    row = Row("shards: two commands on one folder")
    for number in range(RACES):
        works: list[Work] = [
            *(partial(extractor.job, chance.randint(1, SHARDS)) for _ in range(2)), extractor.whole, extractor.jobs,
        ]  # fmt: skip
        check = empty
        if number % 2:
            check, works = joined, [packed, packed, extractor.whole, partial(extractor.job, 1)]
        here = check.place()
        chosen = chance.sample(works, 2)
        outcomes = side_by_side([partial(work, here) for work in chosen])
        begun_in_one = not shards_folder(cache_of(here)).exists()
        again = extractor.whole if begun_in_one else extractor.jobs
        check.count(row, here, _worst(outcomes), str(number), again)
    return row


def _seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    attempt(work)
    return time.monotonic() - start


def _within(seconds: float, work: Work, here: Path) -> None:
    """Do some work, and be killed after so many seconds."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-4))  # what it does by default is what kill does: end, at once
    work(here)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _worst(outcomes: list[Outcome]) -> Outcome:
    order = ("done", "refused", "memory", "hang", "died", "traceback")
    return max(outcomes, key=lambda outcome: order.index(outcome.ending))
