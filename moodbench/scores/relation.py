"""Relation graph: the sum of a row's relations to ID train rows in feature and in softmax."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import TOGETHER, Bank, Guest, Meeting, Visit, bank_of
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.vectorised import places


@SCORES.register("relation")
@dataclass
class Relation(Score):
    """``sum_i r_i^power [r_i > threshold]`` with ``r_i = max(0, cos(x, x_i)) · (p · p_i)`` over all ID train rows x_i.

    Parameters
    ----------
    power : float, default=1
        As in the authors' command for OOD detection; they suggest to try 1, 4, 6 and 8.
    threshold : float, default=0.03
        Weaker relations count as none.

    Attributes
    ----------
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    References
    ----------
    Kim et al., Neural Relation Graph: A Unified Framework for Identifying Label Noise and Outlier Data, NeurIPS 2023,
    arXiv 2301.12321. Reference code: snu-mllab/Neural-Relation-Graph, relation.py and detect_ood.py.
    """

    title = "Relation"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Kim et al., NeurIPS 2023, arXiv 2301.12321"
    year = 2023
    cost = "memory bank"
    sweep = {"power": (1.0, 2.0, 4.0, 6.0, 8.0)}

    power: float = 1.0
    threshold: float = 0.03

    def __post_init__(self) -> None:
        if self.power <= 0 or self.threshold < 0:
            raise UsageError(
                f"'relation' needs power > 0 and threshold >= 0, got power={self.power} and threshold={self.threshold}"
            )

    def fit(self, train: Train) -> Fit:
        mean: Tensor = yield UnitMean()
        self.bank_ = bank_of(train, mean)
        self._place = self.bank_.join(lambda block: _Relations(self, block, self.bank_))

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(self._place, block)


MANY = 64
"""With more classes than this, the pairs whose softmax can reach the threshold are found first: they are few."""


class _Relations(Guest):
    """Sums of relations to the rows of the bank.

    A pair counts only if p · p_i is above the threshold t, and then so is t / 3 what is left of it when all entries
    below t / 3 are taken as zeros, which cost at most t / 3 each: the entries of a softmax add up to 1. That product is
    one of sparse matrices.
    """

    def __init__(self, score: Relation, block: Block, bank: Bank) -> None:
        assert bank.directions is not None
        self._power, self._threshold = score.power, score.threshold
        self._own = bank.directions.own(block).float()[:, None]
        self._total = torch.zeros(len(block), dtype=torch.float64, device=block.features.device)
        p = block.probabilities
        self._sparse = self._threshold > 0 and p.shape[1] > MANY and p.device.type == "cpu"
        self._least = self._threshold / 3
        self._large: dict[int, Any] = {}

    def facing(self, stored: Block) -> Visit:
        others = _large_entries(stored.probabilities, self._least).T.tocsr() if self._sparse else None
        return partial(self._meet, others)

    def _meet(self, others: Any, meeting: Meeting) -> None:
        p, q = meeting.block.probabilities[meeting.rows], meeting.stored.probabilities
        own, total = self._own[meeting.rows], self._total[meeting.rows]
        if others is not None:
            row, column = self._pairs(meeting.rows, p, others)
            if 16 * len(row) < len(p) * len(q):
                cosines = own[row, 0] + meeting.cosines(row, column)
                total.index_add_(0, row, self._strength(cosines.mul_(_overlaps(p, q, row, column))).double())
                return
        relations = (meeting.relative + own).mul_(product(p, q.T))
        total += self._strength(relations).sum(dim=1, dtype=torch.float64)

    def leave(self) -> Tensor:
        return self._total

    def _strength(self, relations: Tensor) -> Tensor:
        relations.masked_fill_(relations <= self._threshold, 0.0)
        return relations if self._power == 1 else relations.pow_(self._power)

    def _pairs(self, rows: slice, p: Tensor, others: Any) -> tuple[Tensor, Tensor]:
        if rows.start not in self._large:
            self._large[rows.start] = _large_entries(p, self._least)
        found = (self._large[rows.start] @ others).tocoo()
        near = found.data > 0.999 * self._least  # a little less, for rounding
        return torch.from_numpy(found.row[near]).long(), torch.from_numpy(found.col[near]).long()


def _large_entries(p: Tensor, least: float) -> Any:
    """Return the entries above `least` of a matrix (B, C) as one of SciPy in rows."""
    from scipy.sparse import csr_array

    row, column = places(p > least)
    return csr_array((p[row, column].numpy(), (row.numpy(), column.numpy())), shape=(p.shape[0], p.shape[1]))


def _overlaps(p: Tensor, q: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return p_row · q_column for pairs, (n,), some at a time."""
    some = [
        torch.linalg.vecdot(p.index_select(0, a), q.index_select(0, b))
        for a, b in zip(torch.split(row, TOGETHER), torch.split(column, TOGETHER), strict=True)
    ]
    return torch.cat(some) if some else p.new_empty(0)
