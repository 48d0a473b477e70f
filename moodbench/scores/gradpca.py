"""GradPCA of the head: the share of a gradient that lies in the span of the classes' mean gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.reconstruction import check_explained, principal_count
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums


@SCORES.register("gradpca")
@dataclass
class GradPCA(Score):
    """``||P (x - m)||^2 / ||x - m||^2``: P are the principal directions of the class means mu_k about their mean m.

    The gradient of the sum of all logits with respect to the head's weight has x in every row, and that with respect to
    its bias is constant. So whatever is made of inner products of centred gradients is made of those of centred
    features: principal directions of the classes' mean gradients are those of mu_k, and no autograd is needed. m is the
    mean of the means, each class counting once.

    Parameters
    ----------
    explained : float, default=0.99
        Share of the squared lengths of the mu_k - m that P makes up; P has at most one direction less than there are
        classes, or features.

    Attributes
    ----------
    mean_ : (D,) float32
        m.
    principal_ : (D, q) float32
        The principal directions.

    Notes
    -----
    Gradients with respect to the head, of the sum of the logits, are one of the choices that the paper's method leaves.
    Those of deeper layers are no function of the cached features, and are left out. The authors' program could not be
    had: this agrees with an independent program which says that it has been checked against it (cesar-claros/
    ood_systematic, on commit 8f3261b of mselezniova/GradPCA), and which calls these the settings it comes with.
    A feature that is m has the score 0. Classes without rows are left out.

    References
    ----------
    Seleznova et al., GradPCA: Leveraging NTK Alignment for Reliable Out-of-Distribution Detection, 2025,
    arXiv 2505.16017.
    """

    title = "GradPCA (head)"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Seleznova et al., 2025, arXiv 2505.16017"
    year = 2025
    sweep = {"explained": (0.9, 0.95, 0.99)}

    explained: float = 0.99

    def __post_init__(self) -> None:
        check_explained("gradpca", self.explained)

    def fit(self, train: Train) -> Fit:
        classes: GroupSums = yield FeatureSumsByLabel(train.label_classes)
        means = classes.means[classes.counts > 0]
        if len(means) < 2:
            raise ScoreError("fewer than two classes have rows")
        centre = means.mean(dim=0)
        _, sizes, directions = torch.linalg.svd(means - centre, full_matrices=False)
        kept = max(1, principal_count(sizes.square().flip(0), self.explained))
        self.mean_ = centre.float()
        self.principal_ = directions[:kept].T.float().contiguous()

    def score(self, block: Block) -> Tensor:
        x = block.features - self.mean_
        inside = (x @ self.principal_).square().sum(dim=1, dtype=torch.float64)
        whole = x.square().sum(dim=1, dtype=torch.float64).clamp_min_(torch.finfo(torch.float64).tiny)
        share: Tensor = inside / whole
        return share
