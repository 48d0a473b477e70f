"""SHE on changed images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.viewing import OnView
from moodbench.scores.she import SHE


@SCORES.register("she_noise")
@dataclass
class SHENoise(OnView):
    """``x' · m_c'``: `she` with the features x' and the predicted class c' of images that ``--view she`` changes.

    Parameters
    ----------
    view : str, default="she"
        The cached view of changed images, with its numbers (``she-0.0014``) where there are several.

    Attributes
    ----------
    patterns_ : (C, D) float32
        m_k of every class: the mean of the unchanged ID train rows of class k that are predicted as k.

    References
    ----------
    Zhang et al., Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern Hopfield
    Energy, ICLR 2023. Reference code: zjs975584714/SHE_ood_detection, Utils/score_calculation.py,
    get_ood_scores_perturbation.
    """

    title = "SHE (noise)"
    family = "feature+logit"
    needs = frozenset({"logits", "labels", "views"})
    paper = "Zhang et al., ICLR 2023"
    year = 2023

    view: str = "she"

    def fit(self, train: Train) -> Fit:
        plain = SHE()
        yield from plain.fit(train)
        self.patterns_, self.note_ = plain.patterns_, plain.note_

    def score(self, block: Block) -> Tensor:
        changed = block.views[self.view_read(list(block.views))]
        overlap: Tensor = torch.linalg.vecdot(changed.features, self.patterns_.index_select(0, changed.predicted))
        return overlap
