"""Heads with noise on their weights, and what a row's numbers are spread like, as WeiPer reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import Train
from moodbench.scores.block import Block, softmax_and_rest
from moodbench.scores.machinery.vectorised import row_argmax

MOST_FLOATS = 1 << 28
"""All perturbed heads together may have so many weights, a gigabyte of them."""

AT_ONCE = 1 << 22
"""Logits that are worked on at a time."""


@dataclass(frozen=True, eq=False)
class PerturbedHeads:
    """R heads (W + noise) x + b, the noise of each row of W as long as a multiple of the row.

    Attributes
    ----------
    weight : (R, C, D) float32
    bias : (C,) float32
    """

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the logits of rows (B, D), of a few heads at a time, (B, r, C) float32."""
        heads, classes, dim = self.weight.shape
        step = max(1, AT_ONCE // max(1, len(features) * classes))
        for start in range(0, heads, step):
            some = self.weight[start : start + step]
            flat = features @ some.reshape(-1, dim).T
            yield flat.view(len(features), len(some), classes).add_(self.bias)

    def confidence(self, block: Block) -> Tensor:
        """Return the mean over heads of the largest softmax probability, (B,) float64.

        What the other classes have is added up and taken off 1 at the end, so that confident rows keep their order.
        """
        return 1 - block.shared(("rest_of_heads", id(self)), lambda: self._rest(block.features))

    def _rest(self, features: Tensor) -> Tensor:
        total = features.new_zeros(len(features), dtype=torch.float64)
        for logits in self.logits(features):
            flat = logits.view(-1, logits.shape[2])
            rest = softmax_and_rest(flat, row_argmax(flat))[1].double()
            total += (rest / (1 + rest)).view(len(features), -1).sum(dim=1)
        return total / len(self.weight)


def perturbed_heads(train: Train, heads: int, distance: float, seed: int) -> PerturbedHeads:
    """Return heads whose weights are off in random directions, each row by `distance` times its length.

    Raises
    ------
    ScoreError
        They would not fit into memory.
    """
    return train.shared(("perturbed_heads", heads, distance, seed), lambda: _drawn(train, heads, distance, seed))


def _drawn(train: Train, heads: int, distance: float, seed: int) -> PerturbedHeads:
    assert train.weight is not None
    assert train.bias is not None
    classes, dim = train.weight.shape
    if heads * classes * dim > MOST_FLOATS:
        most = MOST_FLOATS // (classes * dim)
        size = f"{heads} heads of {classes} x {dim} weights"
        raise ScoreError(f"{size} take more memory than perturbed heads may; {most} fit")
    generator = torch.Generator().manual_seed(seed)
    plain = train.weight.double()
    lengths = distance * torch.linalg.vector_norm(plain, dim=1, keepdim=True)
    weight = train.weight.new_empty(heads, classes, dim)
    for head in weight:
        noise = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
        noise /= torch.linalg.vector_norm(noise, dim=1, keepdim=True)
        head.copy_(noise.to(plain.device).mul_(lengths).add_(plain))
    return PerturbedHeads(weight, train.bias)


def histograms(values: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Return how many numbers of each row (B, M) lie in each of `bins` equal parts of [low, high], (B, bins) int64.

    The upper end of a part belongs to the next one, that of the last part to itself. What is outside counts nowhere.
    """
    width = (high - low) / bins
    place = (values - low).mul_(1 / width if width > 0 else 0.0).long().clamp_(0, bins - 1)
    place.masked_fill_((values < low) | (values > high), bins)
    place += torch.arange(len(values), device=values.device)[:, None] * (bins + 1)
    counts = torch.bincount(place.flatten(), minlength=len(values) * (bins + 1))
    return counts.view(len(values), bins + 1)[:, :bins]
