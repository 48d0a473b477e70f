"""CLIPN: a second text for each class says that a picture does not show it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.texts import HeadTexts


@dataclass
class _YesNo(Score):
    """Reads logits l_k of the classes, and l'_k = x · n_k of the classes negated.

    The rows n_k come with a head that is imported (``moodbench head import``, array ``negated``), at the scale of its
    rows.
    """

    family = "feature+logit"
    needs = frozenset({"logits", "head", "negated"})
    paper = "Wang et al., ICCV 2023, arXiv 2308.12213"
    year = 2023

    def fit(self, train: Train) -> Fit:
        self.negated_: Tensor = yield HeadTexts("negated", train)

    def _ahead(self, block: Block) -> Tensor:
        """Return l_k - l'_k, (B, C) float64."""
        return block.shared("yes_over_no", lambda: (block.logits - block.features @ self.negated_.T).double())


@SCORES.register("clipn")
@dataclass
class CLIPN(_YesNo):
    """``-log(1 - sum_k p_k y_k)`` with p the softmax of the logits and ``y_k = exp(l_k) / (exp(l_k) + exp(l'_k))``.

    l'_k are the logits of the class negated, from the second head of CLIPN. What the logarithm is taken of is the
    probability that its agreeing-to-differ rule gives to an unknown class.

    Attributes
    ----------
    negated_ : (C, D) float32
        Embeddings of the negated classes, at the scale of the head.

    Notes
    -----
    The code scores with sum_k p_k y_k, which orders rows in the same way and rounds confident ones to 1. Here the rest
    is summed from its own small terms, p_k (1 - y_k), in float64.

    References
    ----------
    Wang et al., CLIPN for Zero-Shot OOD Detection: Teaching CLIP to Say No, ICCV 2023, arXiv 2308.12213, the rule ATD.
    Reference code: xmed-lab/CLIPN, src/zero_shot_infer.py, in float32.
    """

    title = "CLIPN"

    def score(self, block: Block) -> Tensor:
        terms = torch.log_softmax(block.logits.double(), dim=1)
        terms += torch.nn.functional.logsigmoid(-self._ahead(block))
        return -log_sum_exp(terms)


@SCORES.register("clipn_ctw")
@dataclass
class CLIPNCompeting(_YesNo):
    """``y_c = exp(l_c) / (exp(l_c) + exp(l'_c))`` of the predicted class c, with l'_c the logit of that class negated.

    Attributes
    ----------
    negated_ : (C, D) float32
        Embeddings of the negated classes, at the scale of the head.

    References
    ----------
    Wang et al., CLIPN for Zero-Shot OOD Detection: Teaching CLIP to Say No, ICCV 2023, arXiv 2308.12213, the rule CTW
    (competing to win). Reference code: xmed-lab/CLIPN, src/zero_shot_infer.py, in float32.
    """

    title = "CLIPN, predicted class"

    def score(self, block: Block) -> Tensor:
        return torch.sigmoid(self._ahead(block).gather(1, block.predicted[:, None])[:, 0])
