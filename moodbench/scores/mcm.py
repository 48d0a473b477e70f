"""MCM: the maximum concept matching score of networks that compare pictures with texts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.texts import HeadCosines


@SCORES.register("mcm")
@dataclass
class MCM(Score):
    """``max_k softmax_k(cos(x, w_k) / tau)`` with w_k the rows of the head: of a text head, the embedded class names.

    Parameters
    ----------
    temperature : float, default=1.0
        tau, which divides cosines; 1 as in the paper and its code. At the temperature that the network was trained
        with (0.01 for CLIP) this is the MSP of the zero-shot classifier, another score.

    Attributes
    ----------
    cosines_ : HeadCosines
        The head. The scale that a text head's rows carry is divided out.

    Notes
    -----
    The code has no other form for networks trained with a sigmoid (SigLIP); the bias of their logits is left aside.

    All C probabilities lie near 1 / C, and rows differ in the fourth digit; the sum is taken in float64. Of a head that
    is no text head this is the same of its rows, whatever those mean.

    References
    ----------
    Ming et al., Delving into Out-of-Distribution Detection with Vision-Language Representations, NeurIPS 2022,
    arXiv 2211.13445. Reference code: deeplearning-wisc/MCM, utils/detection_util.py (score MCM), in float32 and with
    the sign turned.
    """

    title = "MCM"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Ming et al., NeurIPS 2022, arXiv 2211.13445"
    year = 2022

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UsageError(f"'mcm' needs temperature > 0, got temperature={self.temperature}")

    def fit(self, train: Train) -> Fit:
        yield from ()
        self.cosines_ = HeadCosines.fit(train)

    def score(self, block: Block) -> Tensor:
        cosines = self.cosines_.of(block).double()
        cosines.sub_(cosines.amax(dim=1, keepdim=True)).div_(self.temperature)
        return 1 / cosines.exp_().sum(dim=1)
