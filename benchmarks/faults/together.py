"""Workers that share the shards of an extraction: on several devices and on Ray, killed with `kill -9`, or with a node.

Each trial kills one process at a random moment; ``--count`` says how many there are of each kind. A worker that dies is
the command's business, which ends whole or with one message. Of a command that dies, the same one on one device goes
on. What is there in the end is compared, to the bit, with an undisturbed run.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults.pieces import BATCH, DATASET, MODEL, SIDE, Means, as_one_file, contents, left_over, pictures
from benchmarks.faults.trial import Outcome, Row, attempt, side_by_side
from moodbench.cluster import the_ray
from moodbench.commands.extract import extract
from moodbench.models.backbone import Backbone
from moodbench.models.transforms import build_transform
from moodbench.workspace import Workspace

COUNT = 10
"""Trials of each kind; `--count` of the command line."""

NODES = 3
"""Clusters that lose a node: each takes a minute to begin."""

ROWS, PAUSE = 480, 0.1
"""Pictures, and seconds that the network waits before each batch, so that there is a time to be killed in."""

LIMIT = 4 << 30
"""Bytes of memory beyond what this process holds: Ray's driver takes some hundred megabytes."""


class Slow(Means):
    """The same network, slowly."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Wait, and return logits."""
        if len(images) > 1:
            time.sleep(PAUSE)
        return super().forward(images)


class Together:
    """Extracts the same pictures, alone or by several workers."""

    def __init__(self, folder: Path, seed: int) -> None:
        torch.set_num_threads(1)  # what forks must not have threads
        torch.manual_seed(0)
        self.folder, self.images = folder, pictures(folder / "pictures", seed, ROWS)
        transform = build_transform("moodv2", {"input_size": (3, SIDE, SIDE)}, SIDE)
        self.backbone = Backbone.from_module(Slow(), transform, name=MODEL)
        alone = folder / "alone"
        self.alone(alone)
        self.right = contents(alone), as_one_file(alone)

    def alone(self, place: Path, device: str = "cpu", **more: Any) -> None:
        """Extract with one device, or however `more` says."""
        extract(
            self.backbone, name=MODEL, images=self.images, dataset=DATASET, device=device, batch_size=BATCH,
            workspace=Workspace(cache_dir=place), **more,
        )  # fmt: skip

    def count(self, row: Row, here: Path, outcome: Outcome, case: str) -> None:
        """Go on with one device, as soon as the workers of a dead command are gone, and compare."""
        end = time.monotonic() + 120
        while (second := attempt(partial(self.alone, here))).ending == "refused" and time.monotonic() < end:
            if "being written" not in second.message and "is writing" not in second.message:
                break
            time.sleep(0.5)
        seen = attempt(lambda: (contents(here), as_one_file(here)))
        left = left_over(here)
        lost = second.ending != "done" or seen.value != self.right or bool(left)
        ended = Outcome("done") if outcome.ending == "died" else outcome
        row.count(
            ended, right=True, lost=lost, case=f"{case}: {outcome.message} {second.message} {seen.message} {left}"
        )
        shutil.rmtree(here, ignore_errors=True)


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield rows for several devices, and for Ray where that is installed and can be started."""
    chance, work = random.Random(seed), Together(folder, seed)
    devices = partial(work.alone, device="cpu,cpu")
    yield _workers("several devices: kill -9 of a worker", work, devices, _spawned, chance)
    yield _commands("several devices: kill -9 of the command", work, devices, chance)
    try:
        the_ray()
        two_nodes = importlib.import_module("tests.rays").two_nodes
    except Exception as problem:
        print(f"together: without Ray ({problem}): those rows are left out", file=sys.stderr)
        return
    with two_nodes() as nodes:
        ray = partial(work.alone, engine="ray", address=nodes.address, workers=2)
        sessions = [process.pid for process in nodes.sessions]
        yield _workers("Ray: kill -9 of a worker", work, ray, partial(_actors, sessions), chance)
        yield _commands("Ray: kill -9 of the driver", work, ray, chance)
    row = Row("Ray: a node is lost")
    for number in range(NODES):
        with two_nodes() as nodes:
            here = folder / "here"
            after = chance.uniform(0, _seconds_of_work())
            ray = partial(work.alone, here, engine="ray", address=nodes.address, workers=2)
            lose = partial(_when_begun, here, after, partial(nodes.lose, 1))
            outcome, _ = side_by_side([ray, lose], seconds=300, limit=LIMIT)
            work.count(row, here, outcome, f"{number}: after {after:.1f} s")
    yield row


def _workers(kind: str, work: Together, command: Callable[[Path], None], find: Any, chance: random.Random) -> Row:
    row, here = Row(kind), work.folder / "here"
    for number in range(COUNT):
        after = chance.uniform(0, _seconds_of_work())
        victim = partial(_kill_one, find, chance.random())
        works: list[Callable[[], object]] = [partial(command, here), partial(_when_begun, here, after, victim)]
        outcomes = side_by_side(works, seconds=300, limit=LIMIT)
        work.count(row, here, outcomes[0], f"{number}: after {after:.1f} s")
    return row


def _commands(kind: str, work: Together, command: Callable[[Path], None], chance: random.Random) -> Row:
    row, here = Row(kind), work.folder / "here"
    for number in range(COUNT):
        after = chance.uniform(0, _seconds_of_work())

        def killed(after: float = after) -> None:
            own = os.getpid()
            if os.fork() == 0:  # it waits for the moment, whatever the command does
                _when_begun(here, after, partial(os.kill, own, signal.SIGKILL))
                os._exit(0)
            command(here)

        work.count(row, here, attempt(killed, seconds=300, limit=LIMIT), f"{number}: after {after:.1f} s")
    return row


def _seconds_of_work() -> float:
    return 0.6 * ROWS / BATCH * PAUSE


def _when_begun(here: Path, after: float, work: Callable[[], object]) -> None:
    """Do something so many seconds after the plan was made, at which workers begin with shards."""
    end = time.monotonic() + 120
    while not list(here.glob("*/*.shards/plan.json")) and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(after)
    work()


def _kill_one(find: Callable[[], list[int]], share: float) -> None:
    found = find()
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[int(share * len(found))], signal.SIGKILL)


def _spawned() -> list[int]:
    """Return the workers of the command beside this process: spawned by it, and no tracker of resources."""
    family = [pid for pid in _processes() if _parent(pid) == os.getppid()]
    return [pid for pid in _processes() if _parent(pid) in family and b"spawn_main" in _words(pid)]


def _actors(sessions: list[int]) -> list[int]:
    """Return the processes of our actors on some nodes; Ray calls its own agents alike, with which a node ends."""
    found = []
    for pid in _processes():
        with contextlib.suppress(OSError):
            if os.getsid(pid) in sessions and _words(pid).startswith(b"ray::_Actor"):
                found.append(pid)
    return found


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return -1


def _words(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
