"""fDBD: the mean distance to the decision boundaries, for the distance to the mean of ID train."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Moment, SecondMoment

_CHUNK = 1024
_DUPLICATE = 1e-12
"""Rows of the head closer than 1e-6 of their length are one class twice: there is no boundary between them."""


@SCORES.register("fdbd")
@dataclass
class FDBD(Score):
    """``sum_{k != c} (l_c - l_k) / ||w_c - w_k||  /  ||x - mu||``, c the predicted class and mu the mean of ID train.

    (l_c - l_k) / ||w_c - w_k|| is the distance of x from the boundary between classes c and k.

    Parameters
    ----------
    centred : bool, default=True
        Divide by ||x - mu||, as in the paper; else by ||x||, which OpenOOD also tries.

    Attributes
    ----------
    mean_ : (D,) float32
        mu, or zero.
    inverse_ : (C, C) float32
        1 / ||w_j - w_k||; 0 where two rows are the same.

    Notes
    -----
    A sum over classes, where the paper's text has the mean: the same order. The distances of the head's rows are one
    C x C table, summed in float64.

    References
    ----------
    Liu and Qin, Fast Decision Boundary based Out-of-Distribution Detector, ICML 2024, arXiv 2312.11536.
    Reference code: litianliu/fDBD-OOD, run_imagenet.py. Difference: equal rows of the head have no boundary and are
    left out, where the reference divides zero by zero.
    """

    title = "fDBD"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Liu & Qin, ICML 2024, arXiv 2312.11536"
    year = 2024
    sweep = {"centred": (True, False)}

    centred: bool = True

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        moment: Moment = yield SecondMoment()
        mean = moment.mean if self.centred else torch.zeros_like(moment.mean)
        self.mean_ = mean.float()
        self.inverse_ = train.shared("inverse_head_distances", lambda: inverse_distances(train.weight))

    def score(self, block: Block) -> Tensor:
        gaps = block.max_logit[:, None] - block.logits
        total = gaps.mul_(self.inverse_.index_select(0, block.predicted)).sum(dim=1)
        size: Tensor = torch.linalg.vector_norm(block.features - self.mean_, dim=1)
        return total / size.clamp_min(torch.finfo(torch.float32).tiny)


def inverse_distances(weight: Tensor | None) -> Tensor:
    """Return 1 / ||w_j - w_k||, (C, C) float32, and 0 where two rows are the same."""
    assert weight is not None
    rows = weight.double()
    squares = rows.square().sum(dim=1)
    inverse = torch.empty(len(rows), len(rows), device=rows.device)
    for start in range(0, len(rows), _CHUNK):  # float64 for some rows at a time: with 21,841 classes it is 3.8 GB
        stop = start + _CHUNK
        both = squares[start:stop, None] + squares
        distances = both - 2 * rows[start:stop] @ rows.T
        same = distances <= _DUPLICATE * both
        inverse[start:stop] = torch.where(same, torch.inf, distances).rsqrt().float()
    return inverse
