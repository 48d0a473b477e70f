"""NNGuide: the energy, guided by the most similar confident ID train rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import TOGETHER, Bank, Guest, Largest, Meeting, bank_of, large_pairs
from moodbench.scores.machinery.coarse import ROUNDING, Coarse, left_side, pairs_above, pays, right_side
from moodbench.scores.machinery.statistics import Mean, UnitMean


@SCORES.register("nnguide")
@dataclass
class NNGuide(Score):
    """``E(x) · mean of the K largest z · z_i E(x_i)``, z unit features and E the energy, over all ID train rows x_i.

    Parameters
    ----------
    k : int, default=10
        K, as in the authors' configuration. With fewer ID train rows, all of them.

    Attributes
    ----------
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    Notes
    -----
    The whole of ID train is the bank. The product means something for positive energies only: where a row's energy is
    negative, similar neighbours lower its score.

    References
    ----------
    Park et al., Nearest Neighbor Guidance for Out-of-Distribution Detection, ICCV 2023, arXiv 2309.14888.
    Reference code: roomo7time/nnguide, ood_detectors/nnguide.py. (OpenOOD takes K = 100 of the first 1 % of the rows.)
    """

    title = "NNGuide"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Park et al., ICCV 2023, arXiv 2309.14888"
    year = 2023
    cost = "memory bank"
    sweep = {"k": (1, 10, 50, 100)}

    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"the number of neighbours must be at least 1, got {self.k}")

    def fit(self, train: Train) -> Fit:
        negative: float
        mean: Tensor
        negative, mean = yield Mean("energy_is_negative", lambda block: (block.log_sum_exp < 0).float()), UnitMean()
        if negative > 0:
            self.note_ = f"{100 * negative:.3g} % of ID train has negative energies, which turn the score around"
        self.bank_ = bank_of(train, mean)
        self._place = self.bank_.join(lambda block: _GuidedCosines(self.k, block, self.bank_))

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(self._place, block) * block.log_sum_exp


class _GuidedCosines(Guest):
    """The mean of the K largest cosines times energies."""

    def __init__(self, k: int, block: Block, bank: Bank) -> None:
        assert bank.directions is not None
        self._directions = bank.directions
        self._own = bank.directions.own(block).float()
        self._largest = [Largest(k) for _ in range(0, len(block), TOGETHER)]
        self._left: Coarse | None = None
        if pays(block.features):
            self._left = left_side(bank.directions.ways(block), self._own, torch.ones_like(self._own))

    def turn(self, stored: Block) -> None:
        self._energies = stored.log_sum_exp
        if self._left is not None:
            fan = self._directions.of(stored)
            added = (self._energies, -fan.halves * self._energies)
            self._right = right_side(fan.ways * self._energies[:, None], *added)

    def meet(self, meeting: Meeting) -> None:
        largest, own = self._largest[meeting.rows.start // TOGETHER], self._own[meeting.rows]
        pairs = None
        if self._left is not None and largest.limits is not None and not meeting.compared:
            pairs = pairs_above(self._left.some(meeting.rows), self._right, largest.limits)
        if pairs is None:
            guided = (meeting.relative + own[:, None]).mul_(self._energies)
            lost = (meeting.margin + 2 * ROUNDING) * self._energies.abs().max()
            pairs = large_pairs(guided, largest.limits, largest.k, lost)
        row, column = pairs
        cosines = meeting.cosines(row, column) + own.index_select(0, row)
        largest.add(row, cosines * self._energies.index_select(0, column), len(own))

    def leave(self) -> Tensor:
        return torch.cat([some.best.mean(dim=1) for some in self._largest if some.best is not None])
