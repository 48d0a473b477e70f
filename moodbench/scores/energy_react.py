"""Energy + ReAct: the energy after clipping large activations."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.quantile import entry_quantile
from moodbench.scores.machinery.shaping import head_energy
from moodbench.scores.machinery.sparse import silence_warnings, sparse_product

FEW = 0.95
"""From this quantile on, the clipped part of the features is treated as sparse."""


@SCORES.register("energy_react")
@dataclass
class EnergyReAct(Score):
    """``log sum_k exp((W min(x, tau) + b)_k)`` with tau a quantile of all ID train feature entries.

    Parameters
    ----------
    quantile : float, default=0.99
        Level of tau, as in MOODv2 and ViM. The paper takes 0.9 on ID validation rows.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    threshold_ : float
        tau.

    Notes
    -----
    Computed as the logits less W (x - tau)_+, a product with few entries. Only clipped from above. On signed features
    (ViT) the level means the same, the largest entries of all, but a few outlier channels can decide tau.

    References
    ----------
    Sun et al., ReAct: Out-of-distribution Detection With Rectified Activations, NeurIPS 2021, arXiv 2111.12797.
    """

    title = "ReAct"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Sun et al., NeurIPS 2021, arXiv 2111.12797"
    year = 2021
    sweep = {"quantile": (0.85, 0.9, 0.95, 0.99)}

    quantile: float = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.quantile <= 1:
            raise UsageError(f"the quantile of 'energy_react' lies in [0, 1], got {self.quantile}")

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        self.weight_, self.bias_ = train.weight, train.bias
        silence_warnings()
        self.threshold_ = yield from entry_quantile(self.quantile)

    def score(self, block: Block) -> Tensor:
        above = (block.features - self.threshold_).clamp_min_(0)
        if self.quantile < FEW:
            return head_energy(block.features - above, self.weight_, self.bias_)
        # what is clipped is sparse, and a product with it several times cheaper than one with all that is left
        return log_sum_exp(block.logits - sparse_product(above, self.weight_.T))
