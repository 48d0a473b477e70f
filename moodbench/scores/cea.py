"""CEA: the energy less a penalty for extreme activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.shaping import check_quantile, entry_quantiles
from moodbench.scores.machinery.statistics import Mean


@SCORES.register("cea")
@dataclass
class CEA(Score):
    """``E(l) - lam · ||max(x - tau, 0)||_2`` with E the log-sum-exp of the logits.

    tau is a quantile of all feature entries times `caution`, and lam = gamma · |mean E| / (|mean norm| + 0.1); all of
    them over ID rows held out for tuning.

    Parameters
    ----------
    quantile : float, default=0.999
        Level of tau.
    gamma : float, default=10
        Weight of the penalty.
    caution : float, default=1.1
        Factor on the quantile.

    Attributes
    ----------
    threshold_ : float
        tau.
    weight_ : float
        lam.

    Notes
    -----
    Only large positive entries are penalised; on signed features the negative ones pass. The energy is one base score
    of several in the paper. A mean energy near zero makes the penalty vanish.

    References
    ----------
    Azizmalayeri et al., Mitigating Overconfidence in Out-of-Distribution Detection by Capturing Extreme Activations,
    UAI 2024, arXiv 2405.12658. Reference code: mazizmalayeri/CEA, detection_methods_posthoc.py.
    """

    title = "CEA"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Azizmalayeri et al., UAI 2024, arXiv 2405.12658"
    year = 2024

    quantile: float = 0.999
    gamma: float = 10.0
    caution: float = 1.1

    def __post_init__(self) -> None:
        check_quantile("cea", self.quantile)

    def fit(self, train: Train) -> Fit:
        (level,) = yield from entry_quantiles(self.quantile, part="held_out")
        self.threshold_ = self.caution * level
        energy: float
        excess: float
        energy, excess = yield (
            Mean("energy", lambda block: block.log_sum_exp).on("held_out"),
            Mean(("excess", self.threshold_), self._excess).on("held_out"),
        )
        self.weight_ = self.gamma * abs(energy) / (excess + 0.1)

    def score(self, block: Block) -> Tensor:
        return block.log_sum_exp - self.weight_ * self._excess(block)

    def _excess(self, block: Block) -> Tensor:
        excess: Tensor = torch.linalg.vector_norm((block.features - self.threshold_).clamp_min_(0), dim=1)
        return excess
