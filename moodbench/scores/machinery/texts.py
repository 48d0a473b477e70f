"""Cosines of rows to the rows of a head, and to texts that belong to a head and are no classes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import Train
from moodbench.scores.block import TINY, Block, log_sum_exp
from moodbench.scores.machinery.statistics import Statistic
from moodbench.types import lacking_texts


@dataclass(frozen=True, eq=False)
class HeadCosines:
    """The head, for cosines of rows to its rows: whatever scale they carry is divided out.

    Attributes
    ----------
    bias : (C,) float32
    lengths : (C,) float32
        ||w_k||.
    """

    bias: Tensor
    lengths: Tensor

    @classmethod
    def fit(cls, train: Train) -> HeadCosines:
        """Return that of the head; the score needs ``logits`` and ``head``."""
        assert train.weight is not None
        assert train.bias is not None
        return cls(train.bias, torch.linalg.vector_norm(train.weight, dim=1).clamp_min(TINY))

    def of(self, block: Block) -> Tensor:
        """Return cos(x, w_k), (B, C) float32, computed once a block."""
        return block.shared("head_cosines", lambda: self._of(block))

    def _of(self, block: Block) -> Tensor:
        # x·w_k is the logit less the bias: no product is needed
        lengths = torch.linalg.vector_norm(block.features, dim=1).clamp_min_(TINY)
        return (block.logits - self.bias).div_(self.lengths).div_(lengths[:, None])


def group_mean(positive: Tensor, negative: Tensor, groups: int) -> Tensor:
    """Return ``mean_g P / (P + N_g)``, (B,) float64, of log P (B,) float64 and negatives (B, M), which are overwritten.

    The negatives, cosines over a temperature, are parted into groups of equal size; N_g sums exp over one of them.
    """
    rows = len(negative)
    apart = log_sum_exp(negative.reshape(rows * groups, -1)).view(rows, groups).double()
    return torch.sigmoid(positive[:, None] - apart).mean(dim=1)


class HeadTexts(Statistic[Tensor]):
    """Texts that came with the head, (M, D) float32: no statistic of rows.

    A fit asks for them like for one, so that what keeps answers to fits keeps them too: a detector needs no head file.

    Parameters
    ----------
    kind : str
        A name in `moodbench.types.TEXTS`.
    train : Train
        Has them; not where a fit is told what another was told.
    """

    def __init__(self, kind: str, train: Train) -> None:
        self.kind = kind
        self._texts = train.texts.get(kind)

    @property
    def key(self) -> Hashable:
        """Name them."""
        return ("head_texts", self.kind)

    def update(self, block: Block) -> None:
        """Learn nothing from rows."""

    def merge(self, other: HeadTexts) -> None:
        """Both have the same."""

    def finalize(self) -> Tensor:
        """Return them."""
        if self._texts is None:
            raise ScoreError(lacking_texts(self.kind))
        return self._texts
