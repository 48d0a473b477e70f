"""LogitGap: how far the largest logit is above those that follow it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.vectorised import sorted_rows


@SCORES.register("logitgap")
@dataclass
class LogitGap(Score):
    """``l_(1) - mean of l_(2), ..., l_(N+1)``, the largest logit less the mean of the N that follow it.

    Parameters
    ----------
    top : int, default=88
        N; all other classes where there are fewer. The authors' scripts take 88 of the 1000 classes of ImageNet, 20 of
        100, 10 of 20 and 5 of 10, each for CLIP.

    Notes
    -----
    The paper has a rule that chooses N without training; it is in no published program, so N is a parameter here. With
    N = 1 it is the margin, with all classes the largest logit less their mean, up to the factor C / (C - 1).

    References
    ----------
    Liang et al., Revisiting Logit Distributions for Reliable Out-of-Distribution Detection, NeurIPS 2025,
    arXiv 2510.20134. Reference code: GIT-LJc/LogitGap, utils/compute_utils.py: compute_k_largest_diff_topn.
    """

    title = "LogitGap"
    family = "logit"
    needs = frozenset({"logits"})
    paper = "Liang et al., NeurIPS 2025, arXiv 2510.20134"
    year = 2025

    top: int = 88

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"'logitgap' needs top >= 1, got top={self.top}")

    def fit(self, train: Train) -> Fit:
        if train.classes is not None and train.classes < 2:
            raise ScoreError("a gap needs two classes")
        yield from ()

    def score(self, block: Block) -> Tensor:
        logits = block.shared("sorted_logits", lambda: sorted_rows(block.logits))
        others = min(self.top, logits.shape[1] - 1)
        return logits[:, -1] - logits[:, -1 - others : -1].mean(dim=1)
