"""How far equal inputs lie apart with other instructions, threads and versions: ``make bench-machines``.

Runs ``moodbench demo`` and ``moodbench score --all --save-scores`` on what it extracted, with the plainest instructions
that torch has, with AVX2 and with the best of the processor (``ATEN_CPU_CAPABILITY``), on 1, 2 and 4 threads, with each
``--python``; then compares every run with the first. What is done already is kept in ``--folder``.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import h5py
import numpy as np
from tabulate import tabulate

from moodbench.studies.examples import example_file
from moodbench.studies.file import read_study

ROOT = Path(__file__).parents[1]
CAPABILITIES = ("best", "avx2", "default")
THREADS = ("1", "2", "4")
METRICS = ("auroc", "fpr95")
GROUPS = ("nine", "others", "by chance")
MOODBENCH = "import sys; from moodbench.cli import main; sys.exit(main())"
VERSIONS = """
import platform, numpy, scipy, sklearn, torch
print(f"Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}, numpy {numpy.__version__}, "
      f"scipy {scipy.__version__}, scikit-learn {sklearn.__version__}")
"""

SCORES = read_study(example_file("demo"))["scores"]
"""The nine that the demo runs."""

Key = tuple[str, ...]

BY_CHANCE = ("iforest", "kmeans", "random")
"""Scores that take a last digit for another beginning: random cuts and centres, and a control that hashes features."""


@dataclass(frozen=True)
class Run:
    """One run of the whole pipeline."""

    versions: str
    capability: str
    threads: str
    folder: Path

    def cells(self, metric: str) -> dict[Key, float]:
        """Return a metric by model, score, parameters and OOD dataset."""
        found: dict[Key, float] = {}
        for file in sorted((self.folder / "all").glob("*/*.csv")):
            with file.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    if row[metric]:
                        found[row["model"], row["score"], row["params"], row["ood"]] = float(row[metric])
        return found

    def rows(self) -> Iterator[tuple[Key, np.ndarray]]:
        """Yield the score of every row by file and path within, the score's name last."""
        for file in sorted((self.folder / "all").glob("*/*.scores.h5")):
            yield from (((file.name, *path), values) for path, values in _arrays(file) if values.dtype.kind == "f")

    def features(self) -> Iterator[tuple[Key, np.ndarray]]:
        """Yield the cached features by file."""
        for file in sorted((self.folder / "demo" / "cache").rglob("*.h5")):
            key = file.relative_to(self.folder).parts
            yield from ((key, values) for path, values in _arrays(file) if path == ("features",))


def _arrays(file: Path) -> list[tuple[Key, np.ndarray]]:
    found: list[tuple[Key, np.ndarray]] = []
    with h5py.File(file, "r") as h5:
        h5.visititems(
            lambda name, node: (
                found.append((tuple(name.split("/")), node[()])) if isinstance(node, h5py.Dataset) else None
            )
        )
    return found


def run(python: str, capability: str, threads: str, folder: Path) -> Run:
    """Run the pipeline with one Python, unless its folder holds a whole run already."""
    given = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    given |= {} if capability == "best" else {"ATEN_CPU_CAPABILITY": capability}
    environment = {k: v for k, v in os.environ.items() if k != "ATEN_CPU_CAPABILITY"} | given
    asked = [python, "-c", VERSIONS]
    versions = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    here = folder / versions.replace(", ", "-").replace(" ", "-") / f"{capability}-{threads}"
    done, demo = here / "done", here / "demo"
    folders = ["--cache-dir", str(demo / "cache"), "--results-dir", str(here / "all"), "--threads", threads]
    commands = (["demo", "--out", str(demo)], ["score", "--all", "--benchmark", "digits", "--save-scores", *folders])
    if not done.exists():
        here.mkdir(parents=True, exist_ok=True)
        for command in commands:
            print(f"{versions}, {capability}, {threads}: {command[0]}", file=sys.stderr, flush=True)
            subprocess.run(
                [python, "-c", MOODBENCH, *command], cwd=here, env=environment, check=True, capture_output=True
            )
        done.touch()
    return Run(versions, capability, threads, here)


def compare(run: Run, first: Run) -> list[str]:
    """Return the cells of the table that say how far a run lies from the first one."""
    line = [run.versions, run.capability, run.threads]
    ours, theirs = dict(run.features()), dict(first.features())
    line.append(f"{max(abs(ours[k] - theirs[k]).max() / abs(theirs[k]).max() for k in theirs):.1e}")
    cells = {metric: (run.cells(metric), first.cells(metric)) for metric in METRICS}
    for group in GROUPS:
        for a, b in cells.values():
            both = [key for key in a.keys() & b.keys() if group_of(key[1]) == group]
            line.append(f"{max(100 * abs(a[key] - b[key]) for key in both):.3f}")
    line.append(str(len(cells["auroc"][0].keys() ^ cells["auroc"][1].keys())))
    return line


def group_of(score: str) -> str:
    """Return which columns of the table a score counts for."""
    return "nine" if score in SCORES else "by chance" if score in BY_CHANCE else "others"


def row_differences(run: Run, first: Run) -> dict[str, float]:
    """Return, by score, the largest difference of a row in standard deviations of the score over a dataset's rows."""
    largest: dict[str, float] = {}
    theirs = dict(first.rows())
    for key, values in run.rows():
        a, b = values.astype(np.float64), theirs[key].astype(np.float64)
        with np.errstate(invalid="ignore"):
            apart = np.where(a == b, 0.0, np.abs(a - b)).max() / (b[np.isfinite(b)].std() or 1.0)
        score = key[-1].partition("[")[0]
        largest[score] = max(largest.get(score, 0.0), float(apart))
    return largest


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", help="Python of another environment; repeatable (default: this)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "machines", help="(default: build/machines)")
    parser.add_argument("--threads", nargs="+", default=THREADS, help=f"(default: {' '.join(THREADS)})")
    options = parser.parse_args()
    settings = product(options.python or [sys.executable], CAPABILITIES, options.threads)
    first, *others = [run(*setting, options.folder.resolve()) for setting in settings]
    columns = [f"{group}: {metric}" for group in GROUPS for metric in METRICS]
    head = ["versions", "instructions", "threads", "features", *columns, "missing"]
    print(f"largest differences from {first.versions}, {first.capability}, {first.threads}; metrics in points\n")
    print(tabulate([compare(other, first) for other in others], headers=head, tablefmt="github", disable_numparse=True))
    worst: dict[str, float] = {}
    for other in others:
        for score, apart in row_differences(other, first).items():
            worst[score] = max(worst.get(score, 0.0), apart)
    print("\nlargest difference of a row, in standard deviations of the score\n")
    ordered = sorted(worst.items(), key=lambda item: -item[1])
    print(tabulate([(name, f"{apart:.1e}") for name, apart in ordered], headers=["score", ""], tablefmt="github"))


if __name__ == "__main__":
    main()
