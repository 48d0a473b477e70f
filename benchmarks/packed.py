"""How fast images are read where they lie packed, beside the same images as files: `python -m benchmarks.packed`.

The same photographs (500 × 375 JPEG files, in the page cache) lie as files, in a tar, in a zip (stored, and deflated),
in WebDataset shards and in parquet (small groups of rows as pyarrow writes them, and large ones as the hub has them
now). For each model, taking turns:

- decoding and transforming alone, in as many workers as extraction uses;
- extraction, from images to a complete cache file.

Printed are images per second as files, and for each place the median over the turns of its rate over that of the files
in the same turn; the budget is 0.95. That the features are the same to the bit is looked at, too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.extraction import as_text, backbone_of
from benchmarks.photographs import write
from benchmarks.switched import run_switched
from moodbench.datasets.images import ImageSource, folder_images, packed_images
from moodbench.datasets.packed.places import packed_place
from moodbench.devices import keep_freed_memory
from moodbench.features.cache import FeatureCache
from moodbench.features.extract import Settings, extract_images
from moodbench.features.loading import load_batches
from moodbench.features.memory import settle_batch_size
from moodbench.features.network import Network
from moodbench.models.backbone import Backbone

MODELS = ("timm:test_vit", "efficientnet_lite0")
"""One that computes as fast as images are decoded, and one that people extract with on a CPU."""

CLASSES, SHARDS, GROUP = 4, 4, 100
"""Folders, WebDataset shards, and rows in a small group of parquet."""

LARGE = 100_000_000
"""Bytes of a large one."""

FILES = "files"


def places(folder: Path, count: int) -> dict[str, ImageSource]:
    """Write the photographs everywhere, and return them as sources; the first is the folder."""
    flat = write(folder / "flat", count)
    photographs = folder / FILES
    members = [(f"c{i % CLASSES}/{file.name}", file.read_bytes()) for i, file in enumerate(sorted(flat.iterdir()))]
    members.sort()
    for name, data in members:
        (photographs / name).parent.mkdir(parents=True, exist_ok=True)
        (photographs / name).write_bytes(data)
    _tar(folder / "photographs.tar", members)
    for name, how in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w", how) as archive:
            for member, data in members:
                archive.writestr(member, data)
    size = -(-len(members) // SHARDS)
    for shard in range(SHARDS):
        inside = [
            (f"{i:06}.{kind}", content)
            for i, (name, data) in enumerate(members[shard * size : (shard + 1) * size])
            for kind, content in (("jpg", data), ("cls", name[1:2].encode()))
        ]
        _tar(folder / f"train-{shard:04}.tar", inside)
    named = {"tar": "photographs.tar", "zip, stored": "stored.zip", "zip, deflated": "deflated.zip"}
    named |= {"WebDataset": f"train-{{0000..{SHARDS - 1:04}}}.tar"}
    if _parquet(folder / "photographs.parquet", folder / "hub.parquet", members):
        named |= {"parquet": "photographs.parquet", "parquet of the hub": "hub.parquet"}
    found: dict[str, ImageSource] = {FILES: folder_images(photographs)}
    for kind, name in named.items():
        found[kind] = packed_images(packed_place(folder / name), data_dir=folder)
    return found


def _tar(file: Path, members: Sequence[tuple[str, bytes]]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _parquet(file: Path, hub: Path, members: Sequence[tuple[str, bytes]]) -> bool:
    """Write a table as pyarrow does, and as the library `datasets` 4 does; say whether pyarrow is there."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError:
        return False
    images = [{"bytes": data, "path": name} for name, data in members]
    table = pa.table({"image": images, "label": [int(name[1:2]) for name, _ in members]})
    pyarrow.parquet.write_table(table, file, row_group_size=GROUP)
    rows = max(1, len(members) * LARGE // sum(len(data) for _, data in members))
    pyarrow.parquet.write_table(
        table,
        hub,
        row_group_size=rows,
        data_page_size=2**20,
        write_batch_size=4,  # rows, after which it is looked whether a page is full
        write_page_index=True,
        compression="none",
        use_dictionary=["label"],
        column_encoding={"image.bytes": "PLAIN"},
    )
    return True


class Measured:
    """One model on the same photographs in every place."""

    def __init__(self, backbone: Backbone, sources: dict[str, ImageSource], settings: Settings, folder: Path) -> None:
        self.backbone, self.sources, self.settings, self.folder = backbone, sources, settings, folder
        size = settle_batch_size(Network(backbone, settings, 1), settings, int(backbone.transform.record["size"]))
        count = len(sources[FILES])
        self.batches = [np.arange(i, min(i + size, count)) for i in range(0, count, size)]
        self.rows: dict[str, bytes] = {}

    def decode(self, kind: str) -> None:
        """Decode and transform everything."""
        for _ in load_batches(self.sources[kind], self.batches, self.backbone.transform, self.settings):
            pass

    def extract(self, kind: str) -> None:
        """Write a cache, and keep its checksums, which are those of features and logits."""
        file = self.folder / "m" / "d.h5"
        extract_images(self.backbone, self.sources[kind], file, model="m", dataset="d", settings=self.settings)
        with FeatureCache(file) as cache:
            features, logits, _ = cache.rows_of(slice(0, cache.rows))
            self.rows[kind] = features.tobytes() + (b"" if logits is None else logits.tobytes())
        file.unlink()

    def figures(self, runs: int) -> dict[str, Any]:
        """Return the rates of the files, and the ratios of every other place."""
        count = len(self.sources[FILES])
        steps: dict[str, Callable[[str], None]] = {"decoding": self.decode, "extraction": self.extract}
        taken: dict[tuple[str, str], list[float]] = {(step, kind): [] for step in steps for kind in self.sources}
        for turn in range(1 + runs):
            kinds = list(self.sources)
            kinds = kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]  # nobody is always after the same one
            for step, work in steps.items():
                for kind in kinds:
                    began = time.perf_counter()
                    work(kind)
                    if turn:  # the first warms up
                        taken[step, kind].append(time.perf_counter() - began)
        found: dict[str, Any] = {}
        for step in steps:
            files = taken[step, FILES]
            found[f"{step}, files, images/s"] = round(count / statistics.median(files), 1)
            for kind in self.sources:
                if kind != FILES:
                    ratios = [one / other for one, other in zip(files, taken[step, kind], strict=True)]
                    found[f"{step}, {kind} / files"] = round(statistics.median(ratios), 3)
        found["same features to the bit"] = len({hash(rows) for rows in self.rows.values()}) == 1
        return found


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = f"of the catalogue, or timm:ARCHITECTURE; repeatable (default {', '.join(MODELS)})"
    parser.add_argument("--model", action="append", help=names)
    parser.add_argument("--images", type=int, default=600, help="photographs (default 600)")
    parser.add_argument("--runs", type=int, default=5, help="turns after the first; the median is printed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--batch-size", type=int, help="default: as extract chooses it")
    parser.add_argument("--workers", type=int, help="default: as extract chooses them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(given)
    run_switched("benchmarks.packed")
    keep_freed_memory()
    settings = Settings(args.device, batch_size=args.batch_size, workers=args.workers, progress=False)
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}"
    report: dict[str, Any] = {"machine": machine, "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as temporary:
        sources = places(Path(temporary), args.images)
        for name in args.model or MODELS:
            measured = Measured(backbone_of(name), sources, settings, Path(temporary) / "cache")
            report[name] = measured.figures(args.runs)
    print(json.dumps(report, indent=2) if args.json else as_text(report))


if __name__ == "__main__":
    main()
