"""Small synthetic worlds: features of ID train, ID test and OOD rows, and a head; and scores run on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from moodbench.scores.base import Score, Train, create_score
from moodbench.scores.block import Block
from moodbench.scores.machinery.passes import fit_scores
from tests.texts import texts_of
from tests.views import views_of


@dataclass(frozen=True)
class World:
    """Features (N, D) float32, labels (N,) int64, and a head; `weight` None means no head and no logits."""

    weight: np.ndarray | None
    bias: np.ndarray | None
    train: np.ndarray
    labels: np.ndarray
    tests: Mapping[str, np.ndarray]

    def block(self, features: np.ndarray, labels: np.ndarray | None = None, start: int = 0) -> Block:
        """Return a block of rows with logits from the head."""
        known = None if labels is None else torch.from_numpy(labels)
        views = {
            name: Block(*self._vectors(values, with_head=name.startswith(("view-", "run-"))), known, start)
            for name, values in views_of(features).items()
        }
        return Block(*self._vectors(features), known, start, views)

    def _vectors(self, features: np.ndarray, *, with_head: bool = True) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = torch.from_numpy(np.ascontiguousarray(features, np.float32))
        if not with_head or self.weight is None or self.bias is None or self.weight.shape[1] != x.shape[1]:
            return x, None
        return x, torch.addmm(torch.from_numpy(self.bias), x, torch.from_numpy(self.weight).T)

    def blocks(self, size: int) -> list[Block]:
        """Return the ID train rows in blocks."""
        starts = range(0, len(self.train), size)
        return [self.block(self.train[s : s + size], self.labels[s : s + size], s) for s in starts]

    def facts(self) -> Train:
        """Return what a fit may know beforehand."""
        weight = None if self.weight is None else torch.from_numpy(self.weight)
        bias = None if self.bias is None else torch.from_numpy(self.bias)
        return Train(
            rows=len(self.train),
            dim=self.train.shape[1],
            classes=None if weight is None else len(weight),
            label_classes=int(self.labels.max()) + 1 if self.labels.min() >= 0 else 0,
            own_classes=weight is not None and int(self.labels.max()) + 1 == len(weight),
            weight=weight,
            bias=bias,
            device=torch.device("cpu"),
            bank=lambda: self.blocks(50),
            views={name: values.shape[1] for name, values in views_of(self.train[:1]).items()},
            texts={} if self.weight is None else {k: torch.from_numpy(t) for k, t in texts_of(self.weight).items()},
        )

    def with_(self, **changes: Any) -> World:
        """Return a copy with some parts changed."""
        return replace(self, **changes)


def make_world(seed: int = 0, *, classes: int = 5, dim: int = 24, rows: int = 400, relu: bool = False) -> World:
    """Return separable classes in a low-dimensional subspace, and OOD rows between the classes and off the subspace."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0][: max(2, dim // 3)]
    centres = rng.normal(size=(classes, len(basis))) * 4

    def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, classes, n)
        x = (centres[labels] + rng.normal(size=(n, len(basis)))) @ basis + 0.1 * rng.normal(size=(n, dim))
        return _nonnegative(x, relu), labels

    train, labels = sample(rows)
    test, _ = sample(rows // 2)
    ood = _nonnegative(rng.normal(size=(rows // 2, len(basis))) @ basis + 0.6 * rng.normal(size=(rows // 2, dim)), relu)
    means = np.stack([train[labels == k].mean(axis=0) if (labels == k).any() else train[0] for k in range(classes)])
    weight = (means - means.mean(axis=0)).astype(np.float32) * 0.5
    bias = (-0.25 * (means**2).sum(axis=1)).astype(np.float32)
    bias -= bias.mean()
    return World(weight, bias, train, labels.astype(np.int64), {"test": test, "ood": ood})


def _nonnegative(x: np.ndarray, relu: bool) -> np.ndarray:
    return (np.maximum(x, 0) if relu else x).astype(np.float32)


class CannotFitError(Exception):
    """What a score lacks, in the words of the note that it leaves in its cell."""


def fit(names: Sequence[str], world: World, *, block: int = 64, **params: Any) -> dict[str, Score]:
    """Fit scores on the world's ID train rows; one that cannot be fitted raises `CannotFitError`."""
    scores = {name: create_score(name, params.get(name)) for name in names}
    fitted, missing = fit_scores(scores, world.facts(), lambda: world.blocks(block))
    if missing:
        raise CannotFitError("; ".join(missing.values()))
    return fitted


def run_scores(names: Sequence[str], world: World, *, block: int = 64) -> dict[str, dict[str, np.ndarray]]:
    """Return score → test set → (N,) float64, test rows read in blocks of `block` rows too."""
    fitted = fit(names, world, block=block)
    out: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    for part, features in world.tests.items():
        pieces = [world.block(features[s : s + block]) for s in range(0, len(features), block)]
        for name, score in fitted.items():
            out[name][part] = np.concatenate([score.score(piece).double().numpy() for piece in pieces])
    return out
