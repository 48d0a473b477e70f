"""Ctrl-C, a closed terminal and ``kill`` at random moments of commands: one line, an exit code, nothing lost.

From moodbench's first line on. Before it, for some hundredths of a second, Python itself starts, and answers a Ctrl-C
with a traceback of its own; no program can change that.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.faults.trial import Outcome, Row
from moodbench.commands.import_ import import_features
from moodbench.evaluation.caches import open_caches
from moodbench.results import read_results
from moodbench.workspace import ModelName, Workspace

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

COMMANDS = {"--help": 16, "list models": 16, "table": 14, "score --all": 16}
"""Command → runs."""

HANG = 60.0

CATALOG = """
datasets: {a_train: {title: A}, a_test: {title: A}, a_ood: {title: A}}
benchmarks: {a: {id_train: a_train, id_test: a_test, ood: {far: [a_ood]}}}
"""


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each command."""
    chance = random.Random(seed)
    space = _cached(folder)
    took = {command: _undisturbed(command, folder) for command in ("score --all", "--help", "list models", "table")}
    whole = _files(space)
    for command, runs in COMMANDS.items():
        row = Row(f"signals: moodbench {command}")
        for _ in range(runs):
            number = chance.choice(SIGNALS)
            # at first a command imports libraries: that is met as often as all the rest
            after = took[command] * chance.choice((chance.uniform(0, 0.3), chance.uniform(0.3, 1)))
            outcome = _interrupted(command, folder, number, after)
            lost = _files(space) != whole
            row.count(outcome, right=outcome.ending == "done", lost=lost, case=f"{number.name} after {after:.3f} s")
        yield row


def _cached(folder: Path) -> Workspace:
    (folder / "c.yaml").write_text(CATALOG, encoding="utf-8")
    space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "c.yaml",))
    rng = np.random.default_rng(0)
    np.savez(folder / "head.npz", weight=rng.normal(size=(3, 8)).astype(np.float32), bias=np.zeros(3, np.float32))
    for dataset, rows in (("a_train", 300), ("a_test", 60), ("a_ood", 50)):
        features = rng.normal(size=(rows, 8)).astype(np.float32)
        np.savez(folder / "x.npz", features=features, labels=np.arange(rows) % 3)
        import_features("ours", dataset, folder / "x.npz", head=folder / "head.npz", workspace=space)
    return space


def _files(space: Workspace) -> tuple[list[str], int]:
    """Return the names of all files but locks, and the number of result rows; both are read as a command would."""
    spec = space.catalog.benchmark("a")
    model = ModelName("ours")
    files = {name: space.cache_file(model, name) for name in spec.datasets}
    open_caches(files, spec, space.head_file(model), own_head=True)
    rows = read_results(space.results_file("a", model))
    names = (path.relative_to(space.cache_dir.parent) for path in space.cache_dir.parent.rglob("*") if path.is_file())
    return sorted(str(name) for name in names if name.suffix != ".lock"), len(rows)


def _start(command: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "MOODBENCH_CATALOG": str(folder / "c.yaml"), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-m", "moodbench", *command.split()],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_the_first_line(process: subprocess.Popen[str]) -> None:
    """Wait until the process has said what it does about SIGHUP, which Python says nothing about."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():  # not Linux
        time.sleep(0.3)
        return
    while process.poll() is None:
        caught = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) & 1 << (signal.SIGHUP - 1):
            return
        time.sleep(0.001)


def _undisturbed(command: str, folder: Path) -> float:
    start = time.monotonic()
    process = _start(command, folder)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"moodbench {command}: {said}")
    return time.monotonic() - start


def _interrupted(command: str, folder: Path, number: signal.Signals, after: float) -> Outcome:
    """Send a signal to a command; it may have ended before. Dying of it in silence is an interruption, too."""
    process = _start(command, folder)
    _wait_for_the_first_line(process)
    time.sleep(after)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=HANG)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Outcome("hang", message=f"no end {HANG:g} s later")
    lines = said.strip().splitlines()
    if any(line.startswith(("Traceback", "Exception")) for line in lines):
        return Outcome("traceback", message=" | ".join(lines[-6:]))
    if process.returncode == 0:
        return Outcome("done")
    if process.returncode in (128 + number, -number):
        return Outcome("refused", message=said)
    return Outcome("traceback", message=f"exit code {process.returncode}: {said}")
