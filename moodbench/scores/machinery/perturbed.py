"""Heads with noise on their weights, and what a row's numbers are spread like, as WeiPer reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import Train
from moodbench.scores.block import LOG2_E, Block
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.vectorised import row_argmax

MOST_FLOATS = 1 << 28
"""All perturbed heads together may have so many weights, a gigabyte of them."""

AT_ONCE = 1 << 22
"""Logits that are worked on at a time."""

IN_CACHE = 1 << 18
"""Numbers whose bins are looked for at a time on a CPU."""

LEAST_EXPONENT = -126.0
"""2 to the power of it is the smallest normal float32: smaller results take many times as long."""

Bins = tuple[float, float, int]
"""The ends of a range, and how many equal parts it has."""


@dataclass(frozen=True)
class Seen:
    """What scores read of the logits of all perturbed heads.

    Attributes
    ----------
    rest : (B,) float64
        The mean over heads of the softmax probability of all classes but the largest.
    counts : mapping of Bins to (B, bins) int64
        How many logits lie in each part.
    """

    rest: Tensor
    counts: Mapping[Bins, Tensor]


class PerturbedHeads:
    """R heads (W + noise) x + b, the noise of each row of W as long as a multiple of the row.

    Scores say with `ask` which histograms they want before anything is scored; a block meets the heads once.

    Attributes
    ----------
    weight : (R, C, D) float32
    bias : (C,) float32
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias
        self._wanted: dict[Bins, None] = {}

    def ask(self, bins: Bins) -> None:
        """Announce that a score will want a histogram."""
        self._wanted[bins] = None

    def logits(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the logits of rows (B, D), of a few heads at a time, (B, r · C) float32, to be overwritten."""
        _, classes, dim = self.weight.shape
        step = max(1, AT_ONCE // max(1, len(features) * classes))
        for some in torch.split(self.weight, step):
            flat = product(features, some.reshape(-1, dim).T)
            flat.view(len(features), len(some), classes).add_(self.bias)
            yield flat

    def counts(self, features: Tensor, bins: Bins) -> Tensor:
        """Return how many logits of each row lie in each part of a range, (B, bins) int64."""
        return sum((histograms(logits, bins) for logits in self.logits(features)), torch.tensor(0))

    def seen(self, block: Block) -> Seen:
        """Return what all scores read of a block's logits."""
        return block.shared(("perturbed", id(self)), lambda: self._look(block.features))

    def _look(self, features: Tensor) -> Seen:
        total = features.new_zeros(len(features), dtype=torch.float64)
        counts = {bins: torch.zeros(len(features), bins[2], dtype=torch.int64) for bins in self._wanted}
        counts = {bins: count.to(features.device) for bins, count in counts.items()}
        for logits in self.logits(features):
            for bins, count in counts.items():
                count += histograms(logits, bins)
            rest = _rest(logits.view(-1, len(self.bias))).double()
            total += (rest / (1 + rest)).view(len(features), -1).sum(dim=1)
        return Seen(total / len(self.weight), counts)


def _rest(logits: Tensor) -> Tensor:
    """Return the sum of exp(l_k - l_max) over all classes but the predicted one, (B,), overwriting logits (B, C)."""
    place = row_argmax(logits)[:, None]
    logits.sub_(logits.gather(1, place)).mul_(LOG2_E).clamp_min_(LEAST_EXPONENT).exp2_()
    return logits.scatter_(1, place, 0.0).sum(dim=1)


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


def histograms(values: Tensor, bins: Bins) -> Tensor:
    """Return how many numbers of each row (B, M) lie in each of the equal parts of a range, (B, bins) int64.

    The upper end of a part belongs to the next one, that of the last part to itself. What is outside counts nowhere.
    """
    low, high, parts = bins
    scale = parts / (high - low) if high > low else torch.finfo(torch.float32).max  # all at one place, or beside it
    step = max(1, IN_CACHE // values.shape[1]) if values.device.type == "cpu" else len(values)
    found = []
    for some in torch.split(values, max(1, step)):
        # the first place is for what is below
        place = (some - low).mul_(scale).add_(1).clamp_(0, parts).int().masked_fill_(some > high, 0)
        place += torch.arange(len(some), dtype=torch.int32, device=some.device)[:, None] * (parts + 1)
        counts = torch.bincount(place.flatten(), minlength=len(some) * (parts + 1))
        found.append(counts.view(len(some), parts + 1)[:, 1:])
    return torch.cat(found)
