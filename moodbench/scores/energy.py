"""Energy: the log-sum-exp of the logits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block, log_sum_exp


@SCORES.register("energy")
@dataclass
class Energy(Score):
    """``T · log sum_k exp(l_k / T)``, the negative of the paper's free energy.

    Parameters
    ----------
    temperature : float, default=1
        T, as in the paper and in the reference.

    References
    ----------
    Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020, arXiv 2010.03759, equation 4.
    """

    title = "Energy"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Liu et al., NeurIPS 2020, arXiv 2010.03759"
    year = 2020
    sweep = {"temperature": (1.0, 10.0, 100.0, 1000.0)}

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UsageError(f"the temperature of 'energy' must be positive, got {self.temperature}")

    def score(self, block: Block) -> Tensor:
        if self.temperature == 1:
            return block.log_sum_exp
        return self.temperature * log_sum_exp(block.logits / self.temperature)
