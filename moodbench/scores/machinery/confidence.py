"""Positive confidences of the head that other scores multiply or divide by."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.block import Block
from moodbench.scores.gen import GEN
from moodbench.scores.machinery.statistics import Mean


def _msp(block: Block) -> Tensor:
    return 1.0 / (1.0 + block.rest)


def _inverse_gen(block: Block) -> Tensor:
    top = max(10, block.logits.shape[1] // 10)
    return -1.0 / GEN(gamma=0.1, top=top).score(block)


CONFIDENCES: dict[str, Callable[[Block], Tensor]] = {
    "energy": lambda block: block.log_sum_exp,
    "max_logit": lambda block: block.max_logit,
    "msp": _msp,
    "gen": _inverse_gen,
}
"""By name: block → (B,). GEN as 1 / sum_m p_m^0.1 (1 - p_m)^0.1 over a tenth of the classes, at least 10."""


def negative_share(name: str) -> Mean:
    """Return the statistic that says for which share of ID train a confidence is negative, in [0, 1]."""
    confidence = CONFIDENCES[name]
    return Mean(("negative", name), lambda block: (confidence(block) < 0).float())


def check_confidence(score: str, name: str) -> None:
    """Refuse a confidence that is not in `CONFIDENCES`."""
    if name not in CONFIDENCES:
        raise UsageError(f"'{score}' knows no confidence '{name}'", fix=f"take one of {', '.join(CONFIDENCES)}")
