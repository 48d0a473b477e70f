"""What is left of the softmax beside its largest entry, at any temperature and without rounding."""

from __future__ import annotations

import torch
from torch import Tensor

from moodbench.scores.block import Block, log_sum_exp

_LEAST = -1e30
"""Logarithm of the rest where there is no other class: finite, so that differences of scores stay numbers."""


def log_rest(block: Block, temperature: float = 1.0) -> Tensor:
    """Return log sum_{k != c} exp((l_k - l_c) / T), (B,) float64, with c the predicted class.

    The largest softmax probability at temperature T is 1 / (1 + exp(log_rest)), so -log_rest is its logit: it orders
    rows as the probability does, and it neither rounds to 1 for confident rows (no entry underflows: sums are shifted
    by the runner-up) nor to 1/C at temperatures in the thousands.
    """

    def compute() -> Tensor:
        scaled = block.logits.double().sub_(block.max_logit.double()[:, None]).div_(temperature)
        scaled.scatter_(1, block.predicted[:, None], -torch.inf)
        return log_sum_exp(scaled).clamp_min_(_LEAST)

    return block.shared(("log_rest", temperature), compute)
