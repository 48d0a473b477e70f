"""ORA: the angle at which ID train sees a row and its projections on the decision boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.fdbd import inverse_distances
from moodbench.scores.machinery.gaussian import empty_classes
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums

AGGREGATIONS = ("max", "mean", "min")


@SCORES.register("ora")
@dataclass
class ORA(Score):
    """``max_{k != c} angle(x - m, x_k - m) / pi``, x_k the projection of x on the boundary between classes c and k.

    c is the predicted class and m the mean of the class means of ID train. With d = w_c - w_k, x_k is
    x - (l_c - l_k) d / ||d||^2.

    Parameters
    ----------
    aggregation : str, default="max"
        Of the angles of a row: ``max`` as in the authors' program; ``mean``, over all C classes with 0 for c itself,
        which the authors take in their pull request to OpenOOD; ``min``, over the other classes.

    Attributes
    ----------
    centre_ : (D,) float64
        m.
    logits_ : (C,) float64
        W m + b, the logits of m.
    inverse_ : (C, C) float32
        1 / ||w_j - w_k||; 0 where two rows are the same.

    Notes
    -----
    No projection is written down: x - m has the component ((l_c - l_k) - (W m + b)_c + (W m + b)_k) / ||d|| along d,
    the rest is orthogonal to it, and projecting takes (l_c - l_k) / ||d|| off the first. Classes with equal rows of the
    head have no boundary: their angle is 0, and ``min`` leaves them out. Classes without ID train rows have no mean.

    References
    ----------
    Demirel, Fumero and Locatello, Out-of-Distribution Detection with Relative Angles, NeurIPS 2025, arXiv 2410.04525.
    Reference code: berkerdemirel/ORA-OOD-Detection-with-Relative-Angles, util/ood_methods.py. Difference: there the
    class means are those of the ID test rows, which a detector does not have; here, as in OpenOOD, of ID train.
    """

    title = "ORA"
    family = "feature+logit"
    needs = frozenset({"logits", "head", "labels"})
    paper = "Demirel et al., NeurIPS 2025, arXiv 2410.04525"
    year = 2025

    aggregation: str = "max"

    def __post_init__(self) -> None:
        if self.aggregation not in AGGREGATIONS:
            raise UsageError(f"the aggregation of 'ora' is one of {', '.join(AGGREGATIONS)}, not '{self.aggregation}'")

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        sums: GroupSums = yield FeatureSumsByLabel(train.label_classes)
        present = sums.counts > 0
        self.note_ = empty_classes(train, int(present.sum()))
        self.centre_ = sums.means[present].mean(dim=0)
        self.logits_ = train.weight.double() @ self.centre_ + train.bias.double()
        self.inverse_ = train.shared("inverse_head_distances", lambda: inverse_distances(train.weight))

    def score(self, block: Block) -> Tensor:
        predicted = block.predicted
        inverse = self.inverse_.index_select(0, predicted)
        to_boundary = (block.max_logit[:, None] - block.logits).mul_(inverse)
        at_centre = (self.logits_.index_select(0, predicted)[:, None] - self.logits_).float()
        along = torch.addcmul(to_boundary, at_centre, inverse, value=-1)
        squares = (block.features.double() - self.centre_).square_().sum(dim=1)[:, None].float()
        rest = (squares - along.square()).clamp_min_(0)
        sine = to_boundary * rest.sqrt()
        angles = torch.atan2(sine, along.square().sub_(along * to_boundary).add_(rest)).div_(torch.pi)
        if self.aggregation == "max":
            return angles.amax(dim=1)
        if self.aggregation == "mean":
            return angles.mean(dim=1)
        smallest = angles.masked_fill_(inverse == 0, torch.inf).amin(dim=1)
        return torch.where(torch.isinf(smallest), 0.0, smallest)
