"""Cosines to class prototypes: class means, or the rows of the head."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import TINY, Block, log_sum_exp
from moodbench.scores.machinery.class_means import head_classes
from moodbench.scores.machinery.directions import Directions, Fan
from moodbench.scores.machinery.gaussian import empty_classes
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums, Statistic, UnitMean


@dataclass(frozen=True, eq=False)
class ClassCosines:
    """Cosines of rows to the means of the classes that have ID train rows.

    The means are of the features as they are, as in the reference codes; means of unit features point elsewhere.

    Attributes
    ----------
    directions : Directions
    means : Fan
        Of the K classes that have rows.
    present : (classes,) bool
        Which they are.
    note : str or None
        A word about the others.
    """

    directions: Directions
    means: Fan
    present: Tensor
    note: str | None

    @classmethod
    def fit(cls, train: Train, classes: int) -> Generator[tuple[Statistic[Any], ...], Any, ClassCosines]:
        """Return them (with ``yield from``, inside a fit) for labels of so many classes."""
        sums: GroupSums
        mean: Tensor
        sums, mean = yield FeatureSumsByLabel(classes), UnitMean()
        present, directions = sums.counts > 0, Directions(mean)
        return cls(directions, directions.fan(sums.means[present]), present, empty_classes(train, int(present.sum())))

    def relative(self, block: Block) -> Tensor:
        """Return the cosines less what those of a row have in common, (B, K) float32, computed once a block."""
        return block.shared("class_cosines", lambda: self.directions.relative(block, self.means))

    def own(self, block: Block) -> Tensor:
        """Return what the cosines of a row have in common, (B,) float64."""
        return self.directions.own(block)


@SCORES.register("cosine_class")
@dataclass
class CosineClass(Score):
    """``max_k cos(x, mu_k)`` with mu_k the mean of the ID train rows of true label k.

    Classes without rows are left out.

    Attributes
    ----------
    cosines_ : ClassCosines
        The class means.

    References
    ----------
    Bitterwolf et al., In or Out? Fixing ImageNet Out-of-Distribution Detection Evaluation, ICML 2023,
    arXiv 2306.00826. Reference code: mueller-mp/maha-norm, NINCO/detection_methods.py; edadaltocg/detectors,
    src/detectors/methods/maxcosine.py, adds 1e-7 to the product of the lengths. Both average the features as they are
    and bring the means to unit length afterwards, as here.
    """

    title = "Cosine to class mean"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Bitterwolf et al., ICML 2023, arXiv 2306.00826"
    year = 2023

    def fit(self, train: Train) -> Fit:
        self.cosines_ = yield from ClassCosines.fit(train, train.label_classes)
        self.note_ = self.cosines_.note

    def score(self, block: Block) -> Tensor:
        return self.cosines_.relative(block).amax(dim=1) + self.cosines_.own(block)


@SCORES.register("rcos")
@dataclass
class RelativeCosine(CosineClass):
    """``log max_k softmax_k(cos(x, mu_k))``, the cosine to the nearest class mean relative to all others.

    mu_k is the mean of the ID train rows of true label k; the temperature is 1. Classes without rows are left out.

    Attributes
    ----------
    cosines_ : ClassCosines
        The class means.

    Notes
    -----
    The softmax of C cosines lies barely above 1 / C; its logarithm orders rows in the same way, and is computed in
    float64.

    References
    ----------
    Bitterwolf et al., In or Out? Fixing ImageNet Out-of-Distribution Detection Evaluation, ICML 2023,
    arXiv 2306.00826. Reference code: mueller-mp/maha-norm, NINCO/detection_methods.py, which scores with the softmax
    itself, in float32.
    """

    title = "Relative cosine"

    def score(self, block: Block) -> Tensor:
        cosines = self.cosines_.relative(block).double()  # what a row's have in common drops out
        return cosines.amax(dim=1) - log_sum_exp(cosines)


@SCORES.register("cosine_head")
@dataclass
class CosineHead(Score):
    """``max_k cos(x, w_k)`` with w_k the rows of the head; the bias plays no part.

    Attributes
    ----------
    bias_ : (C,) float32
        That of the head.
    lengths_ : (C,) float32
        ||w_k||.

    References
    ----------
    Techapanurak et al., Hyperparameter-Free Out-of-Distribution Detection Using Cosine Similarity, ACCV 2020,
    arXiv 1905.10628. Difference: there the head is trained with cosines; here it is the model's own.
    """

    title = "Cosine to head"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Techapanurak et al., ACCV 2020, arXiv 1905.10628"
    year = 2020

    def fit(self, train: Train) -> Fit:
        yield from ()
        assert train.weight is not None
        assert train.bias is not None
        self.bias_ = train.bias
        self.lengths_ = torch.linalg.vector_norm(train.weight, dim=1).clamp_min(TINY)

    def score(self, block: Block) -> Tensor:
        # x·w_k is the logit less the bias: no product is needed
        lengths = torch.linalg.vector_norm(block.features, dim=1).clamp_min_(TINY)
        cosines: Tensor = (block.logits - self.bias_).div_(self.lengths_).amax(dim=1) / lengths
        return cosines


@SCORES.register("projection_class")
@dataclass
class ProjectionClass(Score):
    """``||x|| sum_k p_k cos(x, mu_k)``: the row projected on the class means, weighted by their probabilities.

    p is the softmax of the logits, mu_k the mean of the ID train rows of true label k. Classes without rows add
    nothing.

    Attributes
    ----------
    cosines_ : ClassCosines
        The class means.
    classes_ : (K,) int64 or None
        The classes that have rows; None where all do.

    Notes
    -----
    With m_k = mu_k / ||mu_k|| the score is sum_k p_k (x · m_k): one product with the class means.

    References
    ----------
    Dadalto et al., A Functional Data Perspective and Baseline on Multi-Layer Out-of-Distribution Detection, 2023,
    arXiv 2306.03522, for one layer, the penultimate. Reference code: edadaltocg/detectors,
    src/detectors/methods/projection.py; it adds 1e-7 to the product of the lengths and divides by constants of ID
    train.
    """

    title = "Class projection"
    family = "feature+logit"
    needs = frozenset({"logits", "labels"})
    paper = "Dadalto et al., 2023, arXiv 2306.03522"
    year = 2023

    def fit(self, train: Train) -> Fit:
        outputs = head_classes(train)
        self.cosines_ = yield from ClassCosines.fit(train, outputs)
        self.note_ = self.cosines_.note
        everyone = len(self.cosines_.means) == outputs
        self.classes_ = None if everyone else self.cosines_.present.nonzero()[:, 0]

    def score(self, block: Block) -> Tensor:
        p = block.probabilities
        if self.classes_ is not None:
            p = p[:, self.classes_]
        common = self.cosines_.own(block) * p.sum(dim=1, dtype=torch.float64)
        lengths = torch.linalg.vector_norm(block.features, dim=1)
        score: Tensor = lengths * (common + torch.linalg.vecdot(self.cosines_.relative(block), p))
        return score
