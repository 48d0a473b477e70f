"""How time and memory of ``score --engine ray`` grow with the rows of ID train, as a user would run it.

``python -m benchmarks.on_ray`` makes synthetic caches of several sizes, scores each on a cluster of two workers that is
started for it, and says how long that took, and how much memory of its own each process had at most. CPU seconds are
given beside, because other programs change them less than the time of the clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.world import Size, build
from moodbench.workspace import Workspace

NINE = ("msp", "max_logit", "energy", "energy_react", "vim", "residual", "gradnorm", "mahalanobis", "kl_matching")
PAUSE = 0.1
"""Seconds between two looks at the processes."""


def family(root: int) -> list[int]:
    """Return a process and all that come from it, as Linux lists them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended meanwhile
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def looked_at(pid: int) -> tuple[str, float, float]:
    """Return what a process is, its own memory in MiB, and the CPU seconds it has had."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    words = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
    times = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    ticks = os.sysconf("SC_CLK_TCK")
    kind = "worker" if words.startswith("ray::") and not words.startswith("ray::IDLE_SpillWorker") else "ray"
    return kind, int(status["RssAnon"].split()[0]) / 1024, sum(map(int, times)) / ticks


def measured(command: list[str]) -> tuple[float, float, dict[str, float]]:
    """Run a command; return seconds, CPU seconds of it and its workers, and the peak MiB of each kind of process."""
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    peak: dict[str, float] = {}
    spent: dict[int, float] = {}
    while process.poll() is None:
        for pid in family(process.pid):
            try:
                kind, memory, seconds = looked_at(pid)
            except (OSError, KeyError, ValueError):  # it has ended meanwhile
                continue
            kind = "command" if pid == process.pid else kind
            peak[kind] = max(peak.get(kind, 0.0), memory)
            if kind != "ray":
                spent[pid] = seconds
        time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - begin, sum(spent.values()), peak


def main() -> None:
    """Measure, and print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 40_000, 80_000])
    parser.add_argument("--test", type=int, default=4000, help="rows of ID test, and of OOD")
    parser.add_argument("--score", nargs="+", default=list(NINE))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="ray")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "moodbench-on-ray")
    asked = parser.parse_args()
    for rows in asked.rows:
        folder = asked.folder / str(rows)
        space = Workspace(folder / "data", folder / "cache", folder / "results")
        catalog = build(space, Size(rows, asked.test, (asked.test,)))
        command = [sys.executable, "-m", "moodbench", "score", "--benchmark", "synthetic", "--no-row-scores", "-q"]
        command += [word for name in asked.score for word in ("--score", name)]
        command += ["--cache-dir", str(space.cache_dir), "--results-dir", str(space.results_dir)]
        command += ["--catalog", str(catalog), "--engine", asked.engine]
        command += ["--workers", str(asked.workers)] if asked.engine == "ray" else ["--threads", str(asked.workers)]
        seconds, cpu, peak = measured(command)
        memory = ", ".join(f"{kind} {mib:.0f} MiB" for kind, mib in sorted(peak.items()))
        print(f"{rows} rows of ID train: {seconds:.1f} s, {cpu:.1f} s of CPU; peak {memory}", flush=True)


if __name__ == "__main__":
    main()
