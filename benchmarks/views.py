"""What layers and changed images cost beside the plain extraction, as ratios in one run: `python -m benchmarks.views`.

For real photographs and for each model: the time of an extraction, from images to complete caches, with

- nothing but the model's own features and logits (one forward pass);
- every layer besides (the same pass; the budget is 1.05);
- each view that is asked for besides, `odin` by default (one more forward pass with its gradients, and one more
  without: 3.3).

The ways take turns; printed are the medians of the ratios of each turn. Loading of the model is left out. Batches are
small here, because the first of each size is computed once more, to see whether a pass with gradients has the same
bits: of a dataset that is one batch in many, of a few batches much.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.extraction import as_text, backbone_of
from benchmarks.photographs import write
from benchmarks.switched import run_switched
from moodbench.commands.extract_views import NO_VIEWS, Views
from moodbench.datasets.images import folder_images
from moodbench.devices import keep_freed_memory
from moodbench.features.extract import Settings, extract_images
from moodbench.workspace import ModelName, Workspace

MODELS = ("timm:vit_small_patch16_224", "timm:resnet50")


def measure(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Return every figure, by model."""
    images = folder_images(write(folder / "photographs", args.images))
    settings = Settings(args.device, args.precision, args.batch_size, args.workers, progress=False)
    ways = {"plain": NO_VIEWS, "layers": Views.asked("all", "model", (), None, False)}
    ways |= {f"view {one}": Views.asked(None, "model", (one,), None, False) for one in args.view}
    report = {}
    for name in args.model or MODELS:
        backbone = backbone_of(name)
        views = {way: asked.of(backbone, Workspace(), ModelName.parse("m")) for way, asked in ways.items()}
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(1 + args.runs):
            for way, wanted in views.items():
                began = time.perf_counter()
                extract_images(
                    backbone, images, folder / "cache" / "m" / "d.h5", model="m", dataset="d", settings=settings,
                    views=wanted,
                )  # fmt: skip
                seconds = time.perf_counter() - began
                shutil.rmtree(folder / "cache")
                if turn:  # the first warms up
                    taken[way].append(seconds)
        report[name] = figures(taken, len(images), len(views["layers"]))
    return report


def figures(taken: dict[str, list[float]], images: int, layers: int) -> dict[str, float]:
    """Return the rate of the plain extraction, and medians of the ratios to it."""
    plain = taken.pop("plain")
    found = {"plain, images/s": round(images / statistics.median(plain), 1), "layers": layers}
    for way, seconds in taken.items():
        ratios = [one / other for one, other in zip(seconds, plain, strict=True)]
        found[f"with {way} / plain"] = round(statistics.median(ratios), 3)
    return found


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help=f"timm:ARCHITECTURE; repeatable (default {', '.join(MODELS)})")
    parser.add_argument("--view", nargs="*", default=["odin"], help="recipes, as extract --view takes them")
    parser.add_argument("--images", type=int, default=192, help="photographs (default 192)")
    parser.add_argument("--runs", type=int, default=3, help="turns after the first; the median is printed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="fp32", help="fp32, bf16 or fp16")
    parser.add_argument("--batch-size", type=int, default=16, help="default 16")
    parser.add_argument("--workers", type=int, help="default: as extract chooses them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(given)
    run_switched("benchmarks.views")
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as temporary:
        models = measure(args, Path(temporary))
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads, "
    machine += f"torch {torch.__version__}"
    report: dict[str, Any] = {"machine": machine, "load": round(os.getloadavg()[0], 1), **models}
    print(json.dumps(report, indent=2) if args.json else as_text(report))


if __name__ == "__main__":
    main()
