"""Synthetic caches of the paper's size, with spectra like those of a vision transformer.

Features are LayerNorm outputs (mean 0 and variance 1 over the dimensions of a row, then scaled): class means in a few
hundred directions plus noise whose spectrum falls as a power of the rank. Logits are those of a head made of the class
means. OOD rows lack the class means or have other noise. Everything comes from a seed; rows are made block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.features.heads import store_head
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace

BLOCK = 8192


@dataclass(frozen=True)
class Size:
    """Rows of each dataset, feature width and number of classes."""

    train: int = 200_000
    test: int = 50_000
    ood: tuple[int, ...] = (17_632, 5_160, 10_000, 2_000)
    dim: int = 768
    classes: int = 1000

    @property
    def rows(self) -> int:
        """Test and OOD rows."""
        return self.test + sum(self.ood)

    def scaled(self, factor: float) -> Size:
        """Return the same with `factor` times as many rows."""
        ood = tuple(max(20, round(n * factor)) for n in self.ood)
        return Size(round(self.train * factor), round(self.test * factor), ood, self.dim, self.classes)


class World:
    """Makes rows."""

    def __init__(self, size: Size, seed: int = 0) -> None:
        self.size = size
        self.generator = torch.Generator().manual_seed(seed)
        d, c = size.dim, size.classes
        rotation = torch.linalg.qr(self._normal(d, d))[0]
        self.colour = rotation * (torch.arange(1, d + 1).float() ** -0.6)[:, None]
        self.means = self._normal(c, d // 2) @ rotation[: d // 2] * 0.35
        self.scale = 1 + 0.3 * self._normal(d)
        centres = self._layer_norm(self.means)
        self.weight = (centres - centres.mean(dim=0)) * 0.35
        self.bias = 0.1 * self._normal(c)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)

    def _layer_norm(self, x: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(x, x.shape[-1:]) * self.scale

    def labels(self, count: int) -> Tensor:
        """Return random classes."""
        return torch.randint(0, self.size.classes, (count,), generator=self.generator)

    def rows(self, labels: Tensor, shift: float) -> tuple[Tensor, Tensor]:
        """Return features and logits of rows of these classes; `shift` 0 is ID, 1 has nothing of a class."""
        count = len(labels)
        noise = self._normal(count, self.size.dim) @ self.colour
        flat = 0.2 * shift * self._normal(count, self.size.dim)
        x = self._layer_norm((1 - shift) * self.means[labels] + 1.5 * noise + flat)
        return x, x @ self.weight.T + self.bias


def build(space: Workspace, size: Size, model: str = "synthetic") -> Path:
    """Write the caches and a catalogue with the benchmark `synthetic`; return the catalogue's file.

    Caches of the same size that are there are used again.
    """
    world = World(size)
    name = ModelName.parse(model)
    counts = {"syn_train": (size.train, 0.0), "syn_test": (size.test, 0.0)}
    counts |= {f"syn_ood{i}": (n, 0.4 + 0.15 * i) for i, n in enumerate(size.ood)}
    head = Head(world.weight.numpy(), world.bias.numpy())
    store_head(space.head_file(name), head)
    for dataset, (n, shift) in counts.items():
        file = space.cache_file(name, dataset)
        if not file.exists():
            _write(world, file, model, dataset, n, shift, head.digest)
    catalog = space.cache_dir / "synthetic.yaml"
    lines = ["datasets:", *(f"  {d}: {{title: {d}}}" for d in counts)]
    lines += ["benchmarks:", "  synthetic:", "    id_train: syn_train", "    id_test: syn_test", "    ood:"]
    lines += [f"      far: [{', '.join(d for d in counts if 'ood' in d)}]"]
    catalog.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return catalog


def _write(world: World, file: Path, model: str, dataset: str, n: int, shift: float, head: str) -> None:
    labels, size = world.labels(n), world.size
    known = labels.numpy() if shift == 0 else np.full(n, -1, np.int64)
    layout = Layout([str(i) for i in range(n)], known, size.dim, size.classes, head=head)
    unfinished = file.with_name(f".{file.name}.making")
    create_cache(unfinished, model, dataset, layout, {"source": "synthetic", "limit": None})
    with FeatureCache(unfinished, write=True) as cache:
        for start in range(0, n, BLOCK):
            x, logits = world.rows(labels[start : start + BLOCK], shift)
            cache.write(start, x.numpy(), logits.numpy(), np.full(len(x), DONE, np.uint8))
        cache.finish()
    unfinished.replace(file)
