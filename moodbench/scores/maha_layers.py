"""Mahalanobis over layers: the distances to the nearest class mean of every layer, added up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import ClassGaussians, fit_class_gaussians
from moodbench.scores.machinery.layered import fit_each, notes_of, train_of
from moodbench.scores.machinery.viewing import OverLayers
from moodbench.views import LAYER


@SCORES.register("maha_layers")
@dataclass
class MahalanobisLayers(OverLayers):
    """``-sum over layers l of min_k (x_l - mu_lk)^T Sigma_l^+ (x_l - mu_lk)``: `mahalanobis` of every layer, added up.

    mu_lk are the means of layer l over the ID train rows with true label k, Sigma_l their pooled covariance (divided by
    N). Each layer has its own nearest class. Classes without rows are left out. All layers weigh the same, but a wide
    one has larger distances.

    Parameters
    ----------
    layers : str, default="all"
        Which of the cached layers: ``all``, ``every:3``, or names joined by ``+`` (``blocks.3+blocks.7``).

    Attributes
    ----------
    classes_ : dict of str to ClassGaussians
        Of each layer (by the name of its cache), the classes that have rows.

    Notes
    -----
    The paper weighs the layers by a logistic regression that tells ID rows from OOD rows, or from ID rows with
    adversarial noise, and perturbs each image for each layer. OOD rows are not for fitting here, and of perturbed
    images no layers are cached: what is left is the sum, every weight 1. The authors' distances have a factor of 1/2.

    References
    ----------
    Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks,
    NeurIPS 2018, arXiv 1807.03888. Reference code: pokaxpoka/deep_Mahalanobis_detector, lib_generation.py.
    """

    title = "Mahalanobis (layers)"
    family = "feature"
    needs = frozenset({"labels", "layers"})
    paper = "Lee et al., NeurIPS 2018, arXiv 1807.03888"
    year = 2018

    def fit(self, train: Train) -> Fit:
        views = self.views_among(list(train.views))
        found = yield from fit_each({view: fit_class_gaussians(train_of(train, view)) for view in views})
        self.classes_: dict[str, ClassGaussians] = {view: classes for view, (_, classes) in found.items()}
        self.note_ = notes_of({view.removeprefix(LAYER): one.note for view, one in self.classes_.items()})

    def score(self, block: Block) -> Tensor:
        return -torch.stack([one.nearest(block.views[view]) for view, one in self.classes_.items()]).sum(dim=0)
