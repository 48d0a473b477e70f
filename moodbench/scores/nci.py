"""NCI: how close the centred feature is to the weight of the predicted class, and how long the feature is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import Moment, SecondMoment


@SCORES.register("nci")
@dataclass
class NCI(Score):
    """``w_c · (x - mu) / ||x - mu|| + alpha ||x||_1``, c the predicted class and mu the mean of ID train.

    Parameters
    ----------
    alpha : float, default=0.0001
        Weight of the length, as in the authors' configuration, which also tries values up to 0.1. Its unit is that of
        the head's weight by that of the features, so the right value depends on the model.

    Attributes
    ----------
    mean_ : (D,) float32
        That of ID train.
    weight_ : (C, D) float32
        The head's.

    References
    ----------
    Liu and Qin, Detecting Out-of-Distribution through the Lens of Neural Collapse, CVPR 2025, arXiv 2311.01479.
    Reference code: litianliu/NCI-OOD, openood/postprocessors/nci_postprocessor.py.
    """

    title = "NCI"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Liu & Qin, CVPR 2025, arXiv 2311.01479"
    year = 2025
    sweep = {"alpha": (0.0001, 0.001, 0.01, 0.1)}

    alpha: float = 1e-4

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        moment: Moment = yield SecondMoment()
        self.mean_ = moment.mean.float()
        self.weight_ = train.weight

    def score(self, block: Block) -> Tensor:
        centred = block.features - self.mean_
        size = torch.linalg.vector_norm(centred, dim=1).clamp_min_(torch.finfo(torch.float32).tiny)
        # in the arrays that are there: `vecdot` and the 1-norm of `vector_norm` take twice as long on a CPU
        nearness: Tensor = self.weight_.index_select(0, block.predicted).mul_(centred).sum(dim=1) / size
        length: Tensor = torch.abs(block.features, out=centred).sum(dim=1)
        return nearness + self.alpha * length
