"""Ten runs of the whole suite, each in another order: ``make test-matrix``, or ``python -m tests.matrix --help``.

Nine of them let torch compute with the plainest instructions, with AVX2 and with the best that the processor has
(``ATEN_CPU_CAPABILITY``), on 1, 2 and 4 threads; the tenth sets nothing, as ``make test`` does. Runs that are done are
kept in a folder: the same command goes on where it stopped, until the code changes. At the end it prints a table for
docs/dependencies.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parents[1]
CAPABILITIES = ("default", "avx2", None)
THREADS = (1, 2, 4)

DESCRIBE = """
import json, os, platform, sys, numpy, torch
cpu = platform.processor() or platform.machine()
if os.path.exists("/proc/cpuinfo"):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), cpu)
name = platform.platform(terse=True)
if os.path.exists("/etc/os-release"):
    said = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    name = said.get("PRETTY_NAME", name).strip('"')
print(json.dumps({
    "python": platform.python_version(), "torch": torch.__version__.split("+")[0], "numpy": numpy.__version__,
    "best": torch.backends.cpu.get_cpu_capability(), "cpu": cpu, "system": name, "cores": os.cpu_count()}))
"""


@dataclass(frozen=True)
class Setting:
    """What one run is told: the instructions torch may use, its threads (None: as the machine has them), the seed."""

    capability: str | None
    threads: int | None
    seed: int

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that say so."""
        said = {"ATEN_CPU_CAPABILITY": self.capability or ""}
        if self.threads is not None:
            count = str(self.threads)
            said |= {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count, "MOODBENCH_TEST_THREADS": count}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Run:
    """What came of a run of some state of the code; `how` is the pytest command as one can type it."""

    setting: Setting
    code: str
    how: str
    log: str
    machine: dict[str, str | int]
    exit_code: int
    minutes: float
    tests: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the suite passed, all of it."""
        return self.exit_code == 0 and self.tests > 0 and not self.failed


def settings(runs: int, seed: int) -> list[Setting]:
    """Return the first `runs` settings; their seeds follow from `seed`."""
    draw = random.Random(seed)
    pairs: list[tuple[str | None, int | None]] = [(c, t) for t in THREADS for c in CAPABILITIES]
    pairs.append((None, None))
    return [Setting(*pairs[i % len(pairs)], draw.randrange(1 << 32)) for i in range(runs)]


def code() -> str:
    """Return a digest of the code as it is now, changes that are not committed included; of nothing without git."""
    words = (["rev-parse", "HEAD"], ["diff", "HEAD"], ["ls-files", "--others", "--exclude-standard"])
    said = [subprocess.run(["git", *w], cwd=ROOT, capture_output=True, check=False).stdout for w in words]
    return hashlib.sha256(b"\0".join(said)).hexdigest()[:12]


def command(python: str, setting: Setting, workers: str, more: Sequence[str]) -> list[str]:
    """Return the command of a run."""
    return [python, "-m", "pytest", "-n", workers, f"--randomly-seed={setting.seed}", *more]


def typed(words: Sequence[str], setting: Setting) -> str:
    """Return a command with its environment variables as one can type it."""
    return shlex.join([f"{key}={value}" for key, value in setting.variables.items()] + [*words])


def run(words: Sequence[str], setting: Setting, folder: Path) -> Run:
    """Run the suite once; what it prints goes to a file beside its results."""
    name = f"{setting.capability or 'best'}-{setting.threads or 'default'}-{setting.seed}"
    report, log = folder / f"{name}.xml", folder / f"{name}.log"
    report.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k not in Setting("x", 1, 0).variables} | setting.variables
    described = subprocess.run([words[0], "-c", DESCRIBE], env=environment, check=True, capture_output=True, text=True)
    began, state = time.monotonic(), code()
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            [*words, f"--junit-xml={report}"], cwd=ROOT, env=environment, stdout=stream, stderr=stream, check=False
        )
    minutes = (time.monotonic() - began) / 60
    made = Run(setting, state, typed(words, setting), str(log), json.loads(described.stdout), done.returncode, minutes)
    return with_counts(made, report) if report.exists() else made


def with_counts(run: Run, report: Path) -> Run:
    """Add what pytest's report says: how many tests, how many were skipped, which failed."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    names = sorted({f"{case.get('classname')}::{case.get('name')}" for case in bad})
    skipped = sum(case.find("skipped") is not None for case in cases)
    return replace(run, tests=len(cases), skipped=skipped, failed=names)


def read(file: Path) -> list[Run]:
    """Return the runs that a file has, each a line; none if there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    return [Run(**{**row, "setting": Setting(**row["setting"])}) for row in rows]


def table(runs: Iterable[Run]) -> str:
    """Return the runs as a Markdown table, and what the machine was above it."""
    runs = list(runs)
    machines = {f"{r.machine['system']}, {r.machine['cpu']}, {r.machine['cores']} cores" for r in runs}
    rows = [
        [
            r.machine["python"],
            r.machine["torch"],
            r.machine["numpy"],
            f"{r.setting.capability or 'unset'} ({r.machine['best']})",
            r.setting.threads or "default",
            r.setting.seed,
            r.tests - r.skipped - len(r.failed),
            r.skipped,
            len(r.failed) if r.tests else f"exit {r.exit_code}",
        ]
        for r in runs
    ]
    head = ["Python", "torch", "numpy", "ATEN_CPU_CAPABILITY", "threads", "seed", "passed", "skipped", "failed"]
    return "\n".join([*sorted(machines), "", tabulate(rows, headers=head, tablefmt="github", disable_numparse=True)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not there yet; exit 1 if any run failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--python", default=sys.executable, help="the Python, or its environment's folder (default: this)"
    )
    parser.add_argument("--runs", type=int, default=10, help="(default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="where the seeds of the runs come from (default: 0)")
    parser.add_argument("--workers", default="auto", help="processes of each run, as of pytest -n (default: auto)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "matrix", help="(default: build/matrix)")
    parser.add_argument("--again", action="store_true", help="run anew what failed")
    parser.add_argument("pytest", nargs="*", metavar="ARGUMENT", help="for pytest, after --; default: the whole suite")
    options = parser.parse_args(argv)
    python = str(Path(options.python, "bin", "python")) if Path(options.python).is_dir() else options.python
    options.folder.mkdir(parents=True, exist_ok=True)
    file, state = options.folder / "runs.jsonl", code()
    done = {r.how: r for r in read(file) if r.code == state}
    runs: list[Run] = []
    for setting in settings(options.runs, options.seed):
        words = command(python, setting, options.workers, options.pytest)
        made = done.get(typed(words, setting))
        if made is None or (options.again and not made.ok):
            made = run(words, setting, options.folder)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(made)) + "\n")
            sys.stdout.write(f"{'passed' if made.ok else 'FAILED'} in {made.minutes:.1f} min: {made.how}\n")
            sys.stdout.flush()
        runs.append(made)
    sys.stdout.write(f"\n{table(runs)}\n")
    for bad in (r for r in runs if not r.ok):
        sys.stderr.write(f"\nFAILED (exit {bad.exit_code}), see {bad.log}\n{bad.how}\n")
        sys.stderr.write("".join(f"  {name}\n" for name in bad.failed))
    return int(not all(r.ok for r in runs))


if __name__ == "__main__":
    sys.exit(main())
