"""A real run beside its replay: `python -m benchmarks.scaling --compare`, some minutes.

Worker processes extract photographs in shards into one folder, as jobs of a cluster do. From runs with small and with
large shards the constants of the replay are fitted (a row, a shard, the start, the spread); runs with shards between,
undisturbed and with a worker killed, are then compared with what the replay says of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.faults.pieces import BATCH, Means
from benchmarks.photographs import write
from benchmarks.scaling.simulate import Workers, plan, replay
from moodbench.datasets.images import folder_images
from moodbench.features.cache import FeatureCache
from moodbench.features.extract import Settings, sharded
from moodbench.features.lock import BusyError
from moodbench.features.shards.fill import ShardedExtraction
from moodbench.models.backbone import Backbone
from moodbench.models.transforms import build_transform

ORIGINALS = 48
"""Photographs that are really different."""

SEEDS = 50


@dataclass(frozen=True)
class Run:
    """What was seen of a run.

    Attributes
    ----------
    seconds : float
        Until the last row was there, as a replay counts.
    after : float
        From there until the shards were compared, joined, and all processes had ended.
    starts : list of float
        Of each worker.
    tasks : list of (int, float)
        Rows and seconds of whole shards.
    """

    seconds: float
    after: float
    starts: list[float]
    tasks: list[tuple[int, float]]


def compared(images: int, count: int, small: int, large: int) -> dict[str, object]:
    """Return measured and replayed seconds of runs with shards of a size that the constants do not come from."""
    between = round((small * large) ** 0.5 / BATCH) * BATCH
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photographs = _photographs(folder / "photographs", images)
        runs = [_run(photographs, folder / f"{size}", size, count) for size in (small, large)]
        workers = _fitted(runs, count)
        calm = _run(photographs, folder / "calm", between, count)
        after = calm.seconds / 2
        killed = _run(photographs, folder / "killed", between, count, kill_after=after)
    return {
        "images": images,
        "workers": count,
        "ms a row": round(1000 * workers.row, 2),
        "s a shard": round(workers.shard, 3),
        "s to start": round(workers.start, 2),
        "spread": round(workers.spread, 3),
        "rows a shard": between,
        "undisturbed": _beside(calm, plan(images, between), workers, {}),
        f"a worker killed after {after:.1f} s": _beside(killed, plan(images, between), workers, {0: after}),
    }


def _beside(run: Run, shards: list[int], workers: Workers, killed: dict[int, float]) -> dict[str, float]:
    replays = sorted(replay(shards, workers, seed, killed).seconds for seed in range(SEEDS))
    middle = statistics.median(replays)
    return {
        "measured, s": round(run.seconds, 1),
        "replayed, s (median)": round(middle, 1),
        "lowest": round(replays[0], 1),
        "highest": round(replays[-1], 1),
        "measured / replayed": round(run.seconds / middle, 2),
        "joined after, s": round(run.after, 1),
    }


def _fitted(runs: Sequence[Run], count: int) -> Workers:
    """Return workers as the runs had them: seconds = shard + rows × row, by least squares."""
    rows, seconds = np.array([task for run in runs for task in run.tasks]).T
    (shard, row), *_ = np.linalg.lstsq(np.stack([np.ones_like(rows), rows], 1), seconds, rcond=None)
    row, shard = max(float(row), 1e-6), max(float(shard), 0.0)
    spread = float(np.std(np.log(np.maximum(seconds - shard, 1e-6) / (rows * row))))
    start = statistics.mean(start for run in runs for start in run.starts)
    return Workers(count, row, start, shard, spread, slow=0.0, deaths=0.0, again=0.0, batch=BATCH)


def _photographs(folder: Path, count: int) -> Path:
    for i, file in enumerate(sorted(write(folder, min(count, ORIGINALS)).iterdir())):
        for copy in range(i + ORIGINALS, count, ORIGINALS):
            (folder / f"{copy:05}.jpg").write_bytes(file.read_bytes())
    return folder


def _run(photographs: Path, place: Path, per_shard: int, count: int, kill_after: float | None = None) -> Run:
    """Let worker processes extract; kill the first of them after some seconds, and start another at once."""
    command = [sys.executable, "-m", "benchmarks.scaling.real", str(photographs), str(place), str(per_shard)]
    began = time.time()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    if kill_after is not None:
        time.sleep(kill_after)
        processes[0].kill()
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0] for process in processes]
    ended = time.time()
    with FeatureCache(_cache(place)) as cache:  # it is whole, whoever was killed
        assert cache.complete
    lines = [json.loads(line) for text in said for line in text.splitlines()]
    starts = [line["started"] - began for line in lines if "started" in line][:count]
    last = max(line["at"] for line in lines if "rows" in line)
    tasks = [(line["rows"], line["seconds"]) for line in lines if "rows" in line]
    return Run(last - began, ended - last, starts, tasks)


def _cache(place: Path) -> Path:
    return place / "means" / "photographs.h5"


def _sharded(photographs: Path, place: Path) -> ShardedExtraction:
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    backbone = Backbone.from_module(
        Means(), build_transform("moodv2", {"input_size": (3, 224, 224)}, 224), name="means"
    )
    settings = Settings("cpu", batch_size=BATCH, workers=0, progress=False)
    return sharded(
        backbone, folder_images(photographs), _cache(place), model="means", dataset="photographs", settings=settings
    )


def work(photographs: Path, place: Path, per_shard: int) -> None:
    """Take one shard after another that nobody else has, and say how long each took."""
    extraction = _sharded(photographs, place)
    extraction.begin(rows_per_shard=per_shard)
    print(json.dumps({"started": time.time()}), flush=True)
    for index in extraction.indexes:
        began = time.perf_counter()
        try:
            done = extraction.fill(index)
        except BusyError:
            continue
        computed = max(one.rows - one.begun_at for one in done.values())
        if computed:
            took = time.perf_counter() - began
            print(json.dumps({"rows": computed, "seconds": took, "at": time.time()}), flush=True)
    extraction.finish()


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
