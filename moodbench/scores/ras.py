"""RAS: give the entries of a row the values that entries of their rank have on average in ID train."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.shaping import ShapedEnergy, top_entries
from moodbench.scores.machinery.statistics import RowMean
from moodbench.scores.machinery.vectorised import row_order


class MeanOfSorted(RowMean):
    """The mean over rows of their sorted entries, (D,) float64: what the r-th smallest entry of a row is on average."""

    key: Hashable = "mean_of_sorted"

    def rows(self, block: Block) -> Tensor:
        return top_entries(block, block.features.shape[1])


@SCORES.register("ras")
@dataclass
class RAS(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x' with m_r in the place of the r-th smallest entry of x.

    m_r is the mean of the r-th smallest entries of the ID train rows. Of a row remains the order of its entries.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.
    profile_ : (D,) float32
        m, rising.

    Notes
    -----
    Features may have any sign. Of equal entries, such as the zeros that a ReLU leaves, the first has the lowest rank.

    References
    ----------
    Guglielmo and Masana, Ranked Activation Shift for Post-Hoc Out-of-Distribution Detection, 2026, arXiv 2604.08572.
    Reference code: gigug/RAS, src/ras_net.py and src/ras_postprocessor.py, which leaves the order of equal entries to
    the device.
    """

    title = "RAS"
    paper = "Guglielmo & Masana, 2026, arXiv 2604.08572"
    year = 2026

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        profile: Tensor = yield MeanOfSorted()
        self.profile_ = profile.float()

    def shape(self, block: Block) -> Tensor:
        features = block.features
        return torch.empty_like(features).scatter_(1, row_order(features), self.profile_.expand_as(features))
