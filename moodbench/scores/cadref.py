"""CARef and CADRef: relative distances to the mean feature of the predicted class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.class_means import FeatureSumsByPrediction, filled_means
from moodbench.scores.machinery.confidence import CONFIDENCES, check_confidence, negative_share
from moodbench.scores.machinery.statistics import GroupSums, Mean

PAPER = "Ling et al., CVPR 2025, arXiv 2503.00325"
TINY = torch.finfo(torch.float32).tiny
LEAST = 0.01
"""Smallest confidence of a row, as part of the mean of ID train: below it the division would blow up or change sign."""


@SCORES.register("caref")
@dataclass
class CARef(Score):
    """``-||x - mu_c||_1 / ||x||_1`` with c the predicted class and mu_c the mean of the ID train rows predicted as c.

    Attributes
    ----------
    means_ : (C, D) float32
        mu_k of every class.

    Notes
    -----
    A class that no ID train row is predicted as takes the mean of ID train. A row of zeros scores -inf.

    References
    ----------
    Ling et al., CADRef: Robust Out-of-Distribution Detection via Class-Aware Decoupled Relative Feature Leveraging,
    CVPR 2025, arXiv 2503.00325. Reference code: LingAndZero/CADRef, ood_methods/CARef.py, where such a class makes
    the score not a number.
    """

    title = "CARef"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = PAPER
    year = 2025

    def fit(self, train: Train) -> Fit:
        assert train.classes is not None
        sums: GroupSums = yield FeatureSumsByPrediction(train.classes)
        self.means_, self.note_ = filled_means(sums, sums.sums.sum(dim=0) / train.rows)

    def score(self, block: Block) -> Tensor:
        distance = torch.linalg.vector_norm(block.features - self.means_.index_select(0, block.predicted), ord=1, dim=1)
        size = torch.linalg.vector_norm(block.features, ord=1, dim=1).clamp_min_(TINY)
        ratio: Tensor = distance / size
        return -ratio


@SCORES.register("cadref")
@dataclass
class CADRef(Score):
    """``-(E_p / S(x) + E_n / S_bar)``: the distance of `caref` split by the sign of the head's weight.

    With d = (x - mu_c) · sign(w_c), entry by entry, E_p = ||max(d, 0)||_1 / ||x||_1 is the part of the distance that
    raises the logit of the predicted class c and E_n = ||max(-d, 0)||_1 / ||x||_1 the part that lowers it. S is a
    confidence of the head and S_bar its mean over ID train.

    Parameters
    ----------
    confidence : str, default="energy"
        S: ``energy``, ``max_logit``, ``msp`` or ``gen``, as in the paper.

    Attributes
    ----------
    means_ : (C, D) float32
        mu_k of every class.
    signs_ : (C, D) float32
        Signs of the head's weights.
    confidence_ : float
        S_bar.

    Notes
    -----
    The paper takes S to be positive. An energy or a largest logit need not be, and dividing by it would blow up near
    zero and turn around below it, so that large distances look like ID. S(x) therefore counts as at least 1 % of
    S_bar: more confidence never lowers the score and more distance always does, and E_p counts at most a hundred times
    as much as E_n. All other rows are as in the paper. The results say for how much of ID train S is negative; where
    S_bar is not positive, the score is left out.

    References
    ----------
    Ling et al., CADRef: Robust Out-of-Distribution Detection via Class-Aware Decoupled Relative Feature Leveraging,
    CVPR 2025, arXiv 2503.00325. Reference code: LingAndZero/CADRef, ood_methods/CADRef.py. Differences: the least
    confidence; and a class that no ID train row is predicted as takes the mean of ID train.
    """

    title = "CADRef"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = PAPER
    year = 2025

    confidence: str = "energy"

    def __post_init__(self) -> None:
        check_confidence("cadref", self.confidence)

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        sums: GroupSums
        mean: float
        negative: float
        sums, mean, negative = yield (
            FeatureSumsByPrediction(len(train.weight)),
            Mean(("confidence", self.confidence), CONFIDENCES[self.confidence]),
            negative_share(self.confidence),
        )
        if not mean > 0:
            raise ScoreError(f"the mean {self.confidence} of ID train is not positive")
        self.means_, empty = filled_means(sums, sums.sums.sum(dim=0) / train.rows)
        low = f"{100 * negative:.3g} % of ID train has a negative {self.confidence}, which counts as 1 % of the mean"
        self.note_ = "; ".join(filter(None, [empty, low if negative > 0 else None])) or None
        self.signs_ = train.weight.sign()
        self.confidence_ = mean

    def score(self, block: Block) -> Tensor:
        parts = (block.features - self.means_.index_select(0, block.predicted)).mul_(
            self.signs_.index_select(0, block.predicted)
        )
        raising, lowering = parts.clamp_min(0).sum(dim=1), parts.clamp_max(0).sum(dim=1).neg_()
        size = torch.linalg.vector_norm(block.features, ord=1, dim=1).clamp_min_(TINY)
        confidence = CONFIDENCES[self.confidence](block).clamp_min(LEAST * self.confidence_)
        result: Tensor = -(raising / confidence + lowering / self.confidence_) / size
        return result
