"""Igeood: Fisher-Rao distances between the softmax of a row and those of the classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.statistics import GroupedSums, GroupSums
from moodbench.scores.vectorised import arccos_


class LogitSumsByLabel(GroupedSums):
    """Counts and logit sums by true label."""

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        return block.labels, block.logits


@SCORES.register("igeood_logit")
@dataclass
class IgeoodLogit(Score):
    """``sum_k d(p, q_k)``, or ``-min_k d(p, q_k)``, with ``d(p, q) = 2 arccos(sum_j sqrt(p_j q_j))``.

    p is the softmax of the row's logits divided by T; q_k is that of the mean logits of the ID train rows with label k.
    The sum is larger for ID rows: they lie near one class and far from all others.

    Parameters
    ----------
    temperature : float, default=1
        T, as both programs of the authors have it unless told otherwise. The paper tunes it for each model.
    reduce : {"sum", "min"}, default="sum"
        "min" is the authors' second form.

    Notes
    -----
    Square roots are taken once, and the cosines of all pairs are one product, in float64: near a centroid the arccosine
    magnifies rounding. Labels need not be the head's classes.

    References
    ----------
    Gomes et al., Igeood: An Information Geometry Approach to Out-of-Distribution Detection, ICLR 2022,
    arXiv 2203.07798, the form for logits. Reference code: igeood/Igeood, src/measures.py, and, by the first author,
    edadaltocg/detectors, igeood_logits.py. Differences: the centroids are mean logits as in the latter (there the mean
    over classes replaces the sum, which orders alike), not a hundred gradient steps as in the former; no perturbed
    inputs.
    """

    title = "Igeood (logits)"
    family = "logit"
    needs = frozenset({"logits", "labels"})
    paper = "Gomes et al., ICLR 2022, arXiv 2203.07798"

    temperature: float = 1.0
    reduce: str = "sum"

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UsageError(f"the temperature of 'igeood_logit' must be positive, got {self.temperature}")
        if self.reduce not in ("sum", "min"):
            raise UsageError(f"'igeood_logit' reduces by 'sum' or 'min', not by '{self.reduce}'")

    def fit(self, train: Train) -> Fit:
        sums: GroupSums = yield LogitSumsByLabel(train.label_classes)
        self.roots_ = self._roots(sums.means[sums.counts > 0])
        self.single_ = self.roots_.float()

    def _roots(self, logits: Tensor) -> Tensor:
        """Return the square roots of the softmax at the temperature, float64."""
        return torch.softmax(logits.double() / self.temperature, dim=1).sqrt_()

    def score(self, block: Block) -> Tensor:
        if self.reduce == "min":
            cosines = self._roots(block.logits) @ self.roots_.T
            return -2 * torch.acos(cosines.amax(dim=1).clamp_max_(1.0))
        # float32 will do for a sum over classes: only the nearest one's angle, the smallest, feels the rounding
        p = block.probabilities if self.temperature == 1 else torch.softmax(block.logits / self.temperature, dim=1)
        angles = arccos_((p.sqrt() @ self.single_.T).clamp_max_(1.0))
        return 2 * angles.sum(dim=1, dtype=torch.float64)
