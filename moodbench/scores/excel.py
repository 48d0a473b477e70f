"""ExCeL: the largest logit, and whether the other classes rank as they do for ID train rows of the same prediction."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Statistic
from moodbench.scores.machinery.vectorised import row_order

MOST_COUNTS = 1 << 27
"""Counts of classes by prediction and rank, of 4 bytes each. Up to 512 classes all ranks fit; of 1000 classes, 134."""

_TOGETHER = 32
"""Predictions whose counts are compared at a time."""


@SCORES.register("excel")
@dataclass
class ExCeL(Score):
    """``(1 - alpha) l_c + alpha / C · sum_j v(share of class k_j at rank j among ID train rows predicted as c)``.

    c = k_0 is the predicted class and k_j the class with the logit of rank j. v is `reward` for shares above upper / C,
    1 for others above 1 / C, -1 for others above 0, and -`reward` where no such row has that class there.

    Parameters
    ----------
    alpha : float, default=0.8
        Weight of the ranks.
    upper : float, default=5
        In units of 1 / C, above which a class is common at a rank.
    reward : float, default=10
        As above. All three are the authors' configuration.
    ranks : int, default=0
        How many ranks below the first count; 0 for all, as in the authors' program, or as many as fit into memory.

    Attributes
    ----------
    levels_ : (C, R, C) int8
        By prediction, rank from 1 and class: 3 common, 2 above 1 / C, 1 above 0, 0 never.

    Notes
    -----
    Counts take C · R · C · 4 bytes while it is fitted, half a gigabyte at most: with more than 512 classes the last
    ranks are left out, and the results say so. Of equal logits the class with the lower number ranks first.

    References
    ----------
    Karunanayake, Seneviratne and Chawla, ExCeL: Combined Extreme and Collective Logit Information for
    Out-of-Distribution Detection, TMLR 2025, arXiv 2311.14754. Reference code: NSS-USYD/ExCeL,
    openood/postprocessors/excel_postprocessor.py.
    """

    title = "ExCeL"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Karunanayake et al., TMLR 2025, arXiv 2311.14754"
    year = 2025

    alpha: float = 0.8
    upper: float = 5.0
    reward: float = 10.0
    ranks: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"the alpha of 'excel' lies in [0, 1], got {self.alpha:g}")
        if self.upper < 1:
            raise UsageError(f"'excel' needs upper >= 1, got upper={self.upper:g}")
        if self.ranks < 0:
            raise UsageError(f"'excel' needs ranks >= 0, got ranks={self.ranks}", fix="0 takes all ranks")

    def fit(self, train: Train) -> Fit:
        assert train.classes is not None
        classes, others = train.classes, train.classes - 1
        if not others:
            raise ScoreError("ranks need two classes")
        wanted = min(self.ranks or others, others)
        ranks = min(wanted, MOST_COUNTS // classes**2)
        if not ranks:
            raise ScoreError(f"counts of {classes} classes by prediction and rank do not fit into memory")
        if ranks < wanted:
            self.note_ = f"{ranks} of {others} ranks count: more would not fit into memory"
        self.levels_ = yield RankLevels(classes, ranks, self.upper)

    def score(self, block: Block) -> Tensor:
        classes, ranks, _ = self.levels_.shape
        found = self.levels_.view(-1).index_select(0, places_of_ranks(block, ranks).flatten())
        worth = torch.tensor([-self.reward, -1.0, 1.0, self.reward], dtype=torch.float64, device=found.device)
        total = worth.index_select(0, found.int()).view(len(block), ranks).sum(dim=1)
        score: Tensor = (1 - self.alpha) * block.max_logit.double() + self.alpha / classes * total
        return score


def places_of_ranks(block: Block, ranks: int) -> Tensor:
    """Return where the classes at ranks 1 to R stand in a table (C, R, C) by prediction, rank and class, (B, R)."""
    classes = block.logits.shape[1]
    order = block.shared("classes_by_logit", lambda: row_order(-block.logits))
    rank = torch.arange(ranks, device=order.device)
    return (order[:, :1] * ranks + rank) * classes + order[:, 1 : ranks + 1]


class RankLevels(Statistic[Tensor]):
    """How common every class is at every rank among the rows of a prediction, (C, R, C) int8; see `ExCeL.levels_`."""

    def __init__(self, classes: int, ranks: int, upper: float) -> None:
        self.classes, self.ranks, self.upper = classes, ranks, upper
        self._counts: Tensor | None = None
        self._rows: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("rank_levels", self.classes, self.ranks, self.upper)

    def update(self, block: Block) -> None:
        places = places_of_ranks(block, self.ranks).flatten()
        if self._counts is None:
            size = self.classes**2 * self.ranks
            self._counts = torch.zeros(size, dtype=torch.int32, device=places.device)
        self._counts.index_add_(0, places, torch.ones_like(places, dtype=torch.int32))
        rows = torch.bincount(block.predicted, minlength=self.classes)
        self._rows = rows if self._rows is None else self._rows + rows

    def merge(self, other: Self) -> None:
        if other._counts is None or other._rows is None:
            return
        if self._counts is None or self._rows is None:
            self._counts, self._rows = other._counts.clone(), other._rows.clone()
        else:
            self._counts += other._counts
            self._rows += other._rows

    def finalize(self) -> Tensor:
        if self._counts is None or self._rows is None:
            raise ValueError("no rows were seen")
        counts = self._counts.view(self.classes, self.ranks, self.classes)
        levels = torch.empty_like(counts, dtype=torch.int8)
        # of whole numbers, those above a bound are those above the whole number below it
        bounds = [self._rows // self.classes, (self.upper * self._rows.double() / self.classes).floor()]
        pieces = [torch.split(one, _TOGETHER) for one in (levels, counts, *(b.int()[:, None, None] for b in bounds))]
        for level, some, rare, common in zip(*pieces, strict=True):  # a few classes at a time, for memory
            level.copy_(some > 0).add_(some > rare).add_(some > common)
        return levels
