"""Controls: scores that know nothing, to see that the benchmark finds nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block

_STEP = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


@SCORES.register("random")
@dataclass
class Random(Score):
    """A pseudo-random number in [0, 1), made of the bits of the row's features and a seed.

    AUROC is 50 % within its confidence interval. Equal rows get equal numbers, wherever they stand and however they are
    read.

    Parameters
    ----------
    seed : int, default=0
        Another one gives other numbers.

    Notes
    -----
    With z the finaliser of SplitMix64 and all arithmetic modulo 2^64: z(sum_d bits(x_d) · (z(seed + (d + 1) g) | 1))
    with g the golden ratio's 64 bits, of which the upper 53 are the number.

    References
    ----------
    Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 2006 (the diagonal of guessing).
    Steele et al., Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (the finaliser).
    """

    title = "Random (control)"
    family = "feature"
    paper = "Fawcett, Pattern Recognition Letters 2006"
    year = 2006
    control = True

    seed: int = 0

    def score(self, block: Block) -> Tensor:
        bits = block.features.contiguous().view(torch.int32).long()
        columns = torch.arange(1, bits.shape[1] + 1, device=bits.device)
        weights = _finalised(columns * _signed(_STEP) + self.seed) | 1
        mixed = _finalised((bits * weights).sum(dim=1))
        return _shifted(mixed, 11).double() / (1 << 53)


@SCORES.register("constant")
@dataclass
class Constant(Score):
    """0 for every row: AUROC is exactly 50 % and FPR95 exactly 100 %, since all rows tie.

    References
    ----------
    Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 2006.
    """

    title = "Constant (control)"
    family = "feature"
    paper = "Fawcett, Pattern Recognition Letters 2006"
    year = 2006
    control = True

    def score(self, block: Block) -> Tensor:
        return torch.zeros(len(block), device=block.features.device)


def _signed(bits: int) -> int:
    """Return the int64 that has the bits of an unsigned 64-bit number."""
    return bits - (1 << 64) if bits >> 63 else bits


def _shifted(x: Tensor, by: int) -> Tensor:
    """Shift int64 right and fill with zeros; PyTorch's own shift fills with the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _finalised(x: Tensor) -> Tensor:
    """Mix int64 bits as SplitMix64 does; products wrap around."""
    for by, factor in _MIX:
        x = (x ^ _shifted(x, by)) * _signed(factor)
    return x ^ _shifted(x, 31)
