"""ODIN without perturbed inputs: the softmax at a high temperature."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Score
from moodbench.scores.block import Block
from moodbench.scores.machinery.tempered import log_rest


@SCORES.register("odin0")
@dataclass
class ODIN0(Score):
    """``max_k softmax(l / T)_k``, given as its logit.

    Parameters
    ----------
    temperature : float, default=1000
        T, as in the paper.

    Notes
    -----
    At T = 1000 probabilities differ from 1/C by little more than float32 resolves, so that ties decide. The logit of
    the largest, -log sum_{k != c} exp((l_k - l_c) / T), orders rows in the same way and is computed in float64.
    For T to infinity the order becomes that of max_k l_k - mean_k l_k.

    References
    ----------
    Liang et al., Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks, ICLR 2018,
    arXiv 1706.02690, with epsilon = 0: perturbing the input needs images and gradients, which a cache does not have.
    """

    title = "ODIN (ε = 0)"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Liang et al., ICLR 2018, arXiv 1706.02690"
    year = 2018
    sweep = {"temperature": (1.0, 10.0, 100.0, 1000.0)}
    note = "without perturbed inputs"

    temperature: float = 1000.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UsageError(f"the temperature of 'odin0' must be positive, got {self.temperature}")

    def score(self, block: Block) -> Tensor:
        return -log_rest(block, self.temperature)
