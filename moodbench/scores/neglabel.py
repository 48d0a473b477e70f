"""NegLabel: how much more a picture is like the names of ID classes than like words that are far from all of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.texts import HeadCosines, HeadTexts, group_mean
from moodbench.scores.machinery.unit import unit_features, unit_rows


@SCORES.register("neglabel")
@dataclass
class NegLabel(Score):
    """``mean_g P / (P + N_g)`` with ``P = sum_k exp(cos(x, w_k) / tau)`` and ``N_g`` that of the negatives of group g.

    w_k are the rows of a text head, the negatives words that came with it (``head text`` with ``--negatives FILE``).
    They are shuffled and parted into groups of equal size.

    Parameters
    ----------
    temperature : float, default=0.01
        tau, which divides cosines, as in the code: t = 1 on cosines times 100.
    groups : int, default=100
        G; as many as there are negatives if these are fewer. The code's configuration has 100, its default 20.
    seed : int, default=0
        Of the shuffle.

    Attributes
    ----------
    cosines_ : HeadCosines
        The head.
    negatives_ : (M, D) float32
        Unit rows of the negatives, one group after another.
    order_ : (M,) int64
        Their numbers in the head.
    groups_ : int
        G.

    Notes
    -----
    What M leaves over when it is divided by G is dropped from the end before the shuffle, as in the code. That
    shuffles on the GPU: another permutation than the CPU's of the same seed, which is drawn here wherever the rows are.
    Each ratio is 1 / (1 + exp(log N_g - log P)) with sums of exponentials shifted by their largest term, and the mean
    is taken in float64.

    References
    ----------
    Jiang et al., Negative Label Guided OOD Detection with Pretrained Vision-Language Models, ICLR 2024,
    arXiv 2403.20078. Reference code: tmlr-group/NegLabel, mmcls/models/ood/clip_ood.py, in float32.
    """

    title = "NegLabel"
    family = "feature+logit"
    needs = frozenset({"logits", "head", "negatives"})
    paper = "Jiang et al., ICLR 2024, arXiv 2403.20078"
    year = 2024
    cost = "many directions"

    temperature: float = 0.01
    groups: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.groups < 1:
            raise UsageError(
                f"'neglabel' needs temperature > 0 and groups >= 1, got temperature={self.temperature} and "
                f"groups={self.groups}"
            )

    def fit(self, train: Train) -> Fit:
        negatives: Tensor = yield HeadTexts("negatives", train)
        self.cosines_ = HeadCosines.fit(train)
        self.groups_ = min(self.groups, len(negatives))
        if self.groups_ < self.groups:
            self.note_ = f"{len(negatives)} negatives, each a group"
        kept = len(negatives) - len(negatives) % self.groups_
        self.order_ = torch.randperm(kept, generator=torch.Generator().manual_seed(self.seed)).to(negatives.device)
        self.negatives_ = unit_rows(negatives[:kept])[self.order_]

    def score(self, block: Block) -> Tensor:
        positive = log_sum_exp(self.cosines_.of(block) / self.temperature).double()
        negative = product(unit_features(block), self.negatives_.T).div_(self.temperature)
        return group_mean(positive, negative, self.groups_)
