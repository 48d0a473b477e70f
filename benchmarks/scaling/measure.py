"""The constants that can be measured on the machine at hand: `python -m benchmarks.scaling --measure`, a minute."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.decoders import milliseconds
from benchmarks.extraction import backbone_of
from benchmarks.photographs import write
from benchmarks.scaling.cost import VIT_NAME, counted_flops
from benchmarks.scoring import products
from benchmarks.world import Size
from moodbench.datasets.decode import decode
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.models.transforms import Transform


def measured(pictures: int, runs: int) -> dict[str, float]:
    """Return every figure, in the units of `CONSTANTS` unless its name says otherwise."""
    with tempfile.TemporaryDirectory() as temporary:
        return dict(_measured(Path(temporary), pictures, runs))


def _measured(folder: Path, pictures: int, runs: int) -> dict[str, float]:
    torch.set_num_threads(1)
    transform = backbone_of(f"timm:{VIT_NAME}").transform
    assert isinstance(transform, Transform)
    files = sorted(write(folder / "photographs", pictures).glob("*.jpg"))
    made = milliseconds(lambda file: transform.pixels(decode(file, transform.decodable_at)), files, runs)
    size = Size()
    seconds = products(size)
    flops = (
        2.0
        * size.dim
        * (
            size.train * (size.classes + size.dim + size.dim - 512)
            + size.rows * (3 * size.classes + size.dim + size.dim - 512)
        )
        + 2.0 * size.rows * size.classes**2
    )
    return {
        "bytes of a photograph": float(np.mean([file.stat().st_size for file in files])),
        "decode": made / 1000,
        "products": flops / seconds,
        "importing torch and timm, s": _importing(),
        "making and finishing an empty shard of 16,384 rows, s": _cache(folder / "m" / "d.h5", 16_384),
        **{f"GFLOP of {name}": counted_flops(name) / 1e9 for name in (VIT_NAME, "vit_large_patch14_224", "resnet50")},
    }


def _importing() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, timm"], check=True)
    return time.perf_counter() - began


def _cache(file: Path, rows: int) -> float:
    """Return the seconds of a cache besides its rows."""
    began = time.perf_counter()
    layout = Layout([f"{i:028}" for i in range(rows)], np.zeros(rows, np.int64), 768, 1000)
    create_cache(file, "m", "d", layout, {"source": "synthetic", "limit": None})
    made = time.perf_counter() - began
    with FeatureCache(file, write=True) as cache:
        x, logits = np.ones((rows, 768), np.float32), np.ones((rows, 1000), np.float32)
        cache.write(0, x, logits, np.full(rows, DONE, np.uint8))
        began = time.perf_counter()
        cache.finish()
    return made + time.perf_counter() - began
