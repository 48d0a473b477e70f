"""Relation graph: the sum of a row's relations to ID train rows in feature and in softmax."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.unit import unit_features


@SCORES.register("relation")
@dataclass
class Relation(Score):
    """``sum_i r_i^power [r_i > threshold]`` with ``r_i = max(0, cos(x, x_i)) · (p · p_i)`` over all ID train rows x_i.

    Parameters
    ----------
    power : float, default=1
        As in the authors' command for OOD detection; they suggest to try 1, 4, 6 and 8.
    threshold : float, default=0.03
        Weaker relations count as none.

    Attributes
    ----------
    train_ : Train
        Whose bank is walked over.

    References
    ----------
    Kim et al., Neural Relation Graph: A Unified Framework for Identifying Label Noise and Outlier Data, NeurIPS 2023,
    arXiv 2301.12321. Reference code: snu-mllab/Neural-Relation-Graph, relation.py and detect_ood.py.
    """

    title = "Relation"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Kim et al., NeurIPS 2023, arXiv 2301.12321"
    year = 2023
    cost = "memory bank"

    power: float = 1.0
    threshold: float = 0.03

    def __post_init__(self) -> None:
        if self.power <= 0 or self.threshold < 0:
            raise UsageError(
                f"'relation' wants power > 0 and threshold >= 0, got power={self.power} and threshold={self.threshold}"
            )

    def fit(self, train: Train) -> Fit:
        yield from ()
        self.train_ = train

    def score(self, block: Block) -> Tensor:
        z, p = unit_features(block), block.probabilities
        total = torch.zeros(len(block), dtype=torch.float64, device=z.device)
        for rows in self.train_.bank():
            relations = (z @ unit_features(rows).T).mul_(p @ rows.probabilities.T)
            relations.masked_fill_(relations <= self.threshold, 0.0)
            if self.power != 1:
                relations.pow_(self.power)
            total += relations.sum(dim=1, dtype=torch.float64)
        return total
