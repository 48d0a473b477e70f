"""Margins: how far the predicted class is ahead of the runner-up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block


def _lead(block: Block) -> Tensor:
    """Return l_(1) - l_(2), (B,) float32."""

    def compute() -> Tensor:
        best = block.logits.topk(2, dim=1).values
        return best[:, 0] - best[:, 1]

    return block.shared("lead", compute)


def _need_two_classes(train: Train) -> None:
    if train.classes is not None and train.classes < 2:
        raise ScoreError("a margin needs two classes")


@SCORES.register("margin")
@dataclass
class Margin(Score):
    """``l_(1) - l_(2)``, the difference of the two largest logits.

    Also the logarithm of the ratio of the two largest probabilities.

    References
    ----------
    Cattelan and Silva, How to Fix a Broken Confidence Estimator: Evaluating Post-hoc Methods for Selective
    Classification with Deep Neural Networks, UAI 2024, arXiv 2305.15508. Reference code:
    lfpc/FixSelectiveClassification, utils/measures.py.
    """

    title = "Margin"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Cattelan & Silva, UAI 2024, arXiv 2305.15508"
    year = 2024

    def fit(self, train: Train) -> Fit:
        _need_two_classes(train)
        yield from ()

    def score(self, block: Block) -> Tensor:
        return _lead(block)


@SCORES.register("margin_p")
@dataclass
class ProbabilityMargin(Score):
    """``p_(1) - p_(2)``, the difference of the two largest softmax probabilities.

    Computed as (1 - exp(l_(2) - l_(1))) · p_(1) with the division in float64, as MSP is, so that confident rows keep
    their order.

    References
    ----------
    Belghazi and Lopez-Paz, What classifiers know what they don't?, 2021, arXiv 2107.06217. Reference code:
    facebookresearch/uimnet, uimnet/measures/gap.py, which negates it.
    """

    title = "Probability margin"
    family = "probability"
    needs = frozenset({"logits"})
    paper = "Belghazi & Lopez-Paz, 2021, arXiv 2107.06217"
    year = 2021

    def fit(self, train: Train) -> Fit:
        _need_two_classes(train)
        yield from ()

    def score(self, block: Block) -> Tensor:
        return -torch.expm1(-_lead(block).double()) / (1.0 + block.rest.double())
