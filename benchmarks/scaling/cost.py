"""What an image costs: operations, bytes and seconds of a core, step by step and score by score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import get_args

import numpy as np

from benchmarks.scaling.constants import value
from moodbench.features.create import Layout
from moodbench.scores.base import Cost

TEST_ROWS = 50_000 + 17_632 + 5_160 + 10_000 + 2_000
"""ID test and OOD rows of the paper: what is scored, however many ID train rows there are."""

ID = "n01440764/n01440764_10026.JPEG"
"""An id as ImageNet's are."""

PASSES = 2
"""Over ID train: statistics, and those that need the statistics."""


@dataclass(frozen=True)
class Model:
    """A network: operations of one image (two for a multiplication with its addition), D and C."""

    title: str
    flops: float
    dim: int
    classes: int = 1000

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of its cache, id included."""
        one, two = (Layout([ID] * n, np.zeros(n, np.int64), self.dim, self.classes).size for n in (1, 2))
        return two - one


VIT_NAME = "vit_base_patch16_224"

MODELS = {
    "resnet50": Model("ResNet-50, 224 px", 8.18e9, 2048),
    "vit_base_patch16_224": Model("ViT-B/16, 224 px", 35.13e9, 768),
    "vit_large_patch14_224": Model("ViT-L/14, 224 px", 162.0e9, 1024),
}
"""By name of the architecture in timm. `counted_flops` is compared with these by a test."""


@cache
def counted_flops(architecture: str) -> float:
    """Return the operations of one image, counted by torch on a network without memory."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        timm.create_model(architecture).eval()(torch.empty(1, 3, 224, 224))
    return float(counter.get_total_flops())


@dataclass(frozen=True)
class Work:
    """What a kind of score takes: operations for a row of ID train, for a row to be scored, and bytes kept.

    `formula` are the same as text: (ID train row, scored row, kept).
    """

    formula: tuple[str, str, str]
    train: Callable[[int, int, int], float]
    test: Callable[[int, int, int], float]
    kept: Callable[[int, int, int], float]
    example: str


SAMPLE, DIRECTIONS = 10_000, 1000
"""Rows that `knn_coreset` and `kmeans` draw, directions of `rpd`: their defaults."""

WORKS: dict[str, Work] = {
    "products": Work(
        ("2 (D C + D² + 256 D)", "2 (3 D C + 256 D + D² + C²)", "8 D² + 8 C D + 4 C²"),
        lambda n, d, c: 2 * (d * c + d * d + 256 * d),
        lambda n, d, c: 2 * (3 * d * c + 256 * d + d * d + c * c),
        lambda n, d, c: 8 * d * d + 8 * c * d + 4 * c * c,
        "the nine of the reference together",
    ),
    "memory bank": Work(
        ("a copy", "2 N D", "4 N D"),
        lambda n, d, c: 0,
        lambda n, d, c: 2 * n * d,
        lambda n, d, c: 4 * n * d,
        "`knn`; `--bank-rows` sets N",
    ),
    "class covariances": Work(
        ("2 D²", "2 C D²", "8 C D²"),
        lambda n, d, c: 2 * d * d,
        lambda n, d, c: 2 * c * d * d,
        lambda n, d, c: 8 * c * d * d,
        "`qda`; refused where they are too large to keep (1,000 classes of 768 features)",
    ),
    "many directions": Work(
        ("2 R D", "2 R D", "4 R D"),
        lambda n, d, c: 2 * DIRECTIONS * d,
        lambda n, d, c: 2 * DIRECTIONS * d,
        lambda n, d, c: 4 * DIRECTIONS * d,
        f"`rpd` (R = {DIRECTIONS:,}); `weiper` has R = 100 C",
    ),
    "sample": Work(
        ("a draw", "2 S D", "4 S D"),
        lambda n, d, c: 0,
        lambda n, d, c: 2 * SAMPLE * d,
        lambda n, d, c: 4 * SAMPLE * d,
        f"`knn_coreset` (S = {SAMPLE:,})",
    ),
    "scikit-learn": Work(
        ("a draw", "up to 2 S D", "4 S D"),
        lambda n, d, c: 0,
        lambda n, d, c: 2 * SAMPLE * d,
        lambda n, d, c: 4 * SAMPLE * d,
        "`iforest`, `lof`, `ocsvm`: on a sample of rows, one thread each",
    ),
}
assert tuple(WORKS) == get_args(Cost)


def scoring_core_seconds(kind: str, train_rows: int, model: Model) -> float:
    """Return the seconds of one core like those measured here, reading included; what is kept is in memory."""
    work, sizes = WORKS[kind], (train_rows, model.dim, model.classes)
    flops = train_rows * work.train(*sizes) + TEST_ROWS * work.test(*sizes)
    factor = value("bank / product") if kind == "memory bank" else value("nine / products")
    return flops * factor / value("products") + cache_passes(train_rows, model) / value("read")


def cache_passes(train_rows: int, model: Model) -> float:
    """Return the bytes of caches that one run of `score` reads."""
    return (PASSES * train_rows + TEST_ROWS) * model.row_bytes


def merged_bytes(model: Model, tasks: int) -> float:
    """Return the bytes that pass between processes while the statistics of so many tasks are merged in a tree."""
    return max(0, tasks - 1) * WORKS["products"].kept(0, model.dim, model.classes)
