"""How fast scoring is, as ratios in one run on one machine: `make bench`, or `python -m benchmarks.scoring --help`.

Prints, for synthetic caches of the paper's size (200,000 ID train, 50,000 ID test and 34,792 OOD rows, D = 768,
C = 1000):

- wall time and peak anonymous memory of `moodbench score` for the nine scores of the reference, start-up included, and
  the time that importing torch alone takes, which is taken off in the ratios that say so;
- the time of the matrix products alone that those nine cannot do without, in float32 on the same threads, by
  `torch.mm` and by what moodbench takes for it on this processor;
- the time of the per-row algorithm, measured on some rows and scaled;
- the same command for all scores whose cost per row does not grow with the number of ID train rows;
- with --banks, the same for the scores that compare every test row with every ID train row, beside the one product of
  test rows with ID train rows that they need, and k-NN alone beside faiss's flat index where that is installed;
- with --others, the same for the scores of every other cost, by cost;
- with --all, the same for every score that these caches suffice for (no layers, views or texts);
- with --tenfold, the memory with ten times as many rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.reference_per_row import seconds_a_row
from benchmarks.world import Size, World, build
from moodbench.scores.base import SCORES, display_order
from moodbench.scores.machinery.products import product
from moodbench.workspace import Workspace

NINE = ("msp", "max_logit", "energy", "energy_react", "vim", "residual", "gradnorm", "mahalanobis", "kl_matching")


THERE = {"head", "logits", "labels", "stream"}
"""What the caches have; no layers, views, members of an ensemble, or texts."""


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds, and the most anonymous memory it held, in MiB."""

    seconds: float
    memory: float


def run(command: Sequence[str], *, may_fail: bool = False) -> Run:
    """Run a command to its end, watching its memory. Its failure ends this program, unless it may fail."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = [0]

    def watch() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], _anonymous(process.pid))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    if process.returncode and not may_fail:
        sys.exit(f"{' '.join(command)} failed:\n{errors}")
    return Run(seconds, peak[0] / 1024)


def _anonymous(pid: int) -> int:
    """Return the anonymous memory of a process in KiB (Linux); 0 where that cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def by_torch(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Multiply as PyTorch's users do."""
    torch.mm(a, b, out=out)


def products(size: Size, multiply: Callable[[Tensor, Tensor, Tensor], object] = by_torch, rows: int = 4096) -> float:
    """Return the seconds of the unavoidable matrix products of the nine scores, in float32, block by block.

    For each ID train row: logits, second moment, residual projection. For each test row: logits, ReAct's logits,
    residual, whitening, class distances, the cross term of KL-Matching.
    """
    d, c, null = size.dim, size.classes, size.dim - 512
    x, p = torch.randn(rows, d), torch.rand(rows, c)
    w, basis, square, templates = torch.randn(d, c), torch.randn(d, null), torch.randn(d, d), torch.randn(c, c)
    train = [(x, w), (x.T, x), (x, basis)]
    test = [(x, w), (x, w), (x, basis), (x, square), (x, w), (p, templates)]
    seconds = 0.0
    for pairs, n in ((train, size.train), (test, size.rows)):
        for a, b in pairs:
            out = a @ b
            times = []
            for _ in range(5):
                began = time.perf_counter()
                multiply(a, b, out)
                times.append(time.perf_counter() - began)
            seconds += statistics.median(times) * n / rows
    return seconds


def score_command(space: Workspace, catalog: Path, names: Sequence[str], threads: int) -> list[str]:
    """Return the command that users type."""
    command = [sys.executable, "-m", "moodbench", "score", "--benchmark", "synthetic", "--device", "cpu"]
    command += ["--threads", str(threads), "--catalog", str(catalog)]
    command += ["--cache-dir", str(space.cache_dir), "--results-dir", str(space.results_dir)]
    return command + [part for name in names for part in ("--score", name)]


def scores_of(cost: str | None) -> list[str]:
    """Return the scores of a cost, or every one, that plain caches suffice for; ``products``: O(D (D + C)) a row."""
    plain = [name for name in SCORES if SCORES.get(name).needs <= THERE]
    return [name for name in display_order(plain) if cost in (None, SCORES.get(name).cost)]


def bank_product(size: Size, rows: int = 8192) -> float:
    """Return the seconds of the product of all test rows with all ID train rows, in float32, block by block."""
    x, y = torch.randn(rows, size.dim), torch.randn(2048, size.dim)
    out = x @ y.T
    times = []
    for _ in range(9):
        began = time.perf_counter()
        torch.mm(x, y.T, out=out)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * size.rows / rows * size.train / len(y)


def faiss_seconds(size: Size, k: int = 50) -> float | None:
    """Return the seconds of faiss's exact search for the k nearest of unit rows, the index made; None without it."""
    try:
        import faiss  # type: ignore[import-not-found]
    except ImportError:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    world = World(size)
    index = faiss.IndexFlatIP(size.dim)
    for start in range(0, size.train, 8192):
        rows, _ = world.rows(world.labels(min(8192, size.train - start)), 0.0)
        index.add(torch.nn.functional.normalize(rows).numpy())
    some = min(size.rows, 4096)
    queries = torch.nn.functional.normalize(world.rows(world.labels(some), 0.5)[0]).numpy()
    began = time.perf_counter()
    index.search(queries, k)
    return (time.perf_counter() - began) * size.rows / some


def warm(space: Workspace) -> None:
    """Read every cache, so that it is in the page cache.

    Done before every run: some systems take cold pages back within a minute.
    """
    for file in space.cache_dir.glob("*/syn_*.h5"):
        with file.open("rb") as stream:
            while stream.read(1 << 24):
                pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the paper's rows (default 1)")
    parser.add_argument("--folder", type=Path, help="keep the caches here, and use them again (2 GB)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="CPU threads")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command; the median is printed")
    parser.add_argument("--rows", type=int, default=20, help="rows for the per-row algorithm")
    parser.add_argument(
        "--tenfold", action="store_true", help="also measure the memory with ten times the rows (20 GB)"
    )
    parser.add_argument(
        "--banks", action="store_true", help="also measure memory banks (at full size a quarter of an hour)"
    )
    parser.add_argument("--others", action="store_true", help="also measure the scores of every other cost, by cost")
    parser.add_argument("--all", action="store_true", help="also measure all scores together (at full size, longer)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        report = measure(args, Size().scaled(args.scale), folder)
    print(json.dumps(report, indent=2) if args.json else as_text(report))


def measure(args: argparse.Namespace, size: Size, folder: Path) -> dict[str, object]:
    """Return every figure."""
    space = Workspace(cache_dir=folder / "cache", results_dir=folder / "results")
    catalog = build(space, size)
    nine, all_cheap, bare, own, starts = [], [], [], [], []
    cheap = scores_of("products")
    for _ in range(args.runs):  # in turn, so that a machine that becomes slower does so for all
        warm(space)
        starts.append(run([sys.executable, "-c", "import torch"]).seconds)
        nine.append(run(score_command(space, catalog, NINE, args.threads)))
        bare.append(products(size))
        own.append(products(size, lambda a, b, out: product(a, b)))
        warm(space)
        all_cheap.append(run(score_command(space, catalog, cheap, args.threads)))
    seconds = statistics.median(r.seconds for r in nine)
    plain, start = statistics.median(bare), statistics.median(starts)
    together = statistics.median(r.seconds for r in all_cheap)
    world = World(size)
    x, _ = world.rows(world.labels(args.rows), 0.0)
    a_row = seconds_a_row(x.numpy(), world.weight.numpy(), world.bias.numpy())
    per_row = sum(a_row.values()) * size.rows
    report: dict[str, object] = {
        "machine": f"{platform.machine()}, {args.threads} threads, torch {torch.__version__}",
        "rows": {
            "train": size.train,
            "test": size.test,
            "ood": sum(size.ood),
            "dim": size.dim,
            "classes": size.classes,
        },
        "nine scores, seconds": round(seconds, 2),
        "nine scores, peak anonymous MiB": round(max(r.memory for r in nine)),
        "matrix products alone, seconds": round(plain, 2),
        "... as moodbench has them multiplied, seconds": round(statistics.median(own), 2),
        "importing torch alone, seconds": round(start, 2),
        "nine scores / products": round(seconds / plain, 2),
        "nine scores without importing torch / products": round((seconds - start) / plain, 2),
        "per-row algorithm, seconds (scaled)": round(per_row),
        "per-row algorithm, rows measured": args.rows,
        "per-row algorithm, ms a row": {name: round(1000 * s, 2) for name, s in a_row.items()},
        "per-row / nine scores": round(per_row / seconds),
        f"{len(cheap)} scores of O(D (D + C)), seconds": round(together, 2),
        f"{len(cheap)} scores, peak anonymous MiB": round(max(r.memory for r in all_cheap)),
        f"{len(cheap)} scores / products": round(together / plain, 2),
        f"{len(cheap)} scores without importing torch / products": round((together - start) / plain, 2),
    }
    if args.banks:
        banks = scores_of("memory bank")
        warm(space)
        one = bank_product(size)
        every, knn = (run(score_command(space, catalog, names, args.threads)) for names in (banks, ["knn"]))
        faiss = faiss_seconds(size)
        report |= {
            "test rows times ID train rows, one product, seconds": round(one, 1),
            f"{len(banks)} memory-bank scores, seconds": round(every.seconds, 1),
            f"{len(banks)} memory-bank scores / that product": round(every.seconds / one, 2),
            f"{len(banks)} memory-bank scores without importing torch / that product": round(
                (every.seconds - start) / one, 2
            ),
            f"{len(banks)} memory-bank scores, peak anonymous MiB": round(every.memory),
            "k-NN alone, seconds": round(knn.seconds, 1),
            "faiss's flat index, search alone, seconds (scaled)": faiss if faiss is None else round(faiss, 1),
        }
    if args.others:
        for cost in sorted({SCORES.get(name).cost for name in SCORES} - {"products", "memory bank"}):
            names = scores_of(cost)
            warm(space)
            # of so many classes, covariances of their own fit no memory: the command says so, and has no number
            done = run(score_command(space, catalog, names, args.threads), may_fail=True)
            report[f"{len(names)} scores of cost '{cost}', seconds"] = round(done.seconds, 1)
            report[f"{len(names)} scores of cost '{cost}', peak anonymous MiB"] = round(done.memory)
    if args.all:
        everything = scores_of(None)
        warm(space)
        done = run(score_command(space, catalog, everything, args.threads))
        report[f"all {len(everything)} scores, seconds"] = round(done.seconds, 1)
        report[f"all {len(everything)} scores, peak anonymous MiB"] = round(done.memory)
    if args.tenfold:
        large = Workspace(cache_dir=folder / "cache10", results_dir=folder / "results10")
        catalog = build(large, size.scaled(10))
        warm(large)
        report["nine scores, ten times the rows, peak anonymous MiB"] = round(
            run(score_command(large, catalog, NINE, args.threads)).memory
        )
    return report


def as_text(report: dict[str, object]) -> str:
    """Return one line for each figure."""
    width = max(map(len, report))
    return "\n".join(f"{name:{width}}  {value}" for name, value in report.items())


if __name__ == "__main__":
    main()
