"""PRO: the confidence at its lowest near the image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.tempered import log_rest
from moodbench.scores.machinery.viewing import OnView


@SCORES.register("pro")
@dataclass
class PRO(OnView):
    """``min_t max_k softmax(l(x_t))_k``, given as its logit, over the steps x_t down the confidence (PRO-MSP).

    Parameters
    ----------
    view : str, default="pro"
        The cached view of changed images, ``--view pro``, with its numbers (``pro-0.0005``) where there are several.

    Notes
    -----
    The view holds the features of the step with the smallest confidence. For PRO-ENT there is
    ``--view pro:confidence=entropy``, whose score is `entropy` of the view's own logits: ``score --model
    M@view-pro-0.0005-confidenceentropy --score entropy``.

    References
    ----------
    Chen et al., Leveraging Perturbation Robustness to Enhance Out-of-Distribution Detection, CVPR 2025, arXiv
    2503.18784. Reference code: wenxichen2746/Perturbation-Rectified-OOD-Detection, pro2_msp_postprocessor.py.
    """

    title = "PRO"
    family = "probability"
    needs = frozenset({"logits", "views"})
    paper = "Chen et al., CVPR 2025, arXiv 2503.18784"
    year = 2025

    view: str = "pro"

    def score(self, block: Block) -> Tensor:
        return -log_rest(block.views[self.view_read(list(block.views))])
