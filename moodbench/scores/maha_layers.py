"""Mahalanobis over layers: the distances to the nearest class mean of every layer, added up or weighed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import ClassGaussians, fit_class_gaussians
from moodbench.scores.machinery.layered import fit_each, kept_of_view, notes_of, of_view, train_of
from moodbench.scores.machinery.logistic import Logistic, fit_logistic
from moodbench.scores.machinery.statistics import Statistic
from moodbench.scores.machinery.viewing import OverLayers, changed_layers
from moodbench.views import LAYER

WAYS = ("sum", "logistic")


@SCORES.register("maha_layers")
@dataclass
class MahalanobisLayers(OverLayers):
    """``sum over layers l of w_l M_l(x), M_l(x) = -min_k (x_l - mu_lk)^T Sigma_l^+ (x_l - mu_lk)``.

    mu_lk are the means of layer l over the ID train rows with true label k, Sigma_l their pooled covariance (divided by
    N): M_l is `mahalanobis` of the layer, which has its own nearest class. Classes without rows are left out.

    With ``combine=sum`` all w_l are 1; a wide layer has larger distances. With ``combine=logistic`` they are those of a
    logistic regression that tells ID rows from the same rows perturbed, by their M_l.

    Parameters
    ----------
    layers : str, default="all"
        Which of the cached layers: ``all``, ``every:3``, or names joined by ``+`` (``blocks.3+blocks.7``).
    combine : {"sum", "logistic"}, default="sum"
        What the weights are.
    view : str, default="fgsm"
        The changed images whose layers ``logistic`` reads beside (``extract --view fgsm --view-layers all``), of ID
        train and ID validation rows alone.

    Attributes
    ----------
    classes_ : dict of str to ClassGaussians
        Of each layer (by the name of its cache), the classes that have rows.
    weights_ : Logistic or None
        The regression; None where all weights are 1.

    Notes
    -----
    The paper fits the weights to ID rows and OOD rows, or, where none may be known, to ID rows and adversarial ones
    (its Table 2, FGSM). This is the latter: OOD rows are never fitted on. ID rows here are the benchmark's ID
    validation rows, or every tenth ID train row, which are then left out of means and covariance; the authors take the
    first tenth of the ID test images. Numbers are divided by their standard deviation, and squared weights penalised as
    scikit-learn's LogisticRegression has it with C = 1; the authors let LogisticRegressionCV choose C. The score is the
    logarithm of the odds, which orders rows as the probability does, without rounding to 1.

    Their program takes the adversarial images whose prediction has become wrong, by the true label; here all count, by
    the predicted one. It also perturbs each image for each layer by the gradient of that layer's M_l, with a size that
    is chosen together with the weights; 0 is among the sizes, and is what this is. Its distances have a factor of 1/2.

    References
    ----------
    Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks,
    NeurIPS 2018, arXiv 1807.03888. Reference code: pokaxpoka/deep_Mahalanobis_detector, lib_generation.py,
    lib_regression.py and ADV_Regression.py.
    """

    title = "Mahalanobis (layers)"
    family = "feature"
    needs = frozenset({"labels", "layers"})
    paper = "Lee et al., NeurIPS 2018, arXiv 1807.03888"
    year = 2018

    combine: str = "sum"
    view: str = "fgsm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.combine not in WAYS:
            raise UsageError(f"the parameter 'combine' cannot be '{self.combine}'", fix=" or ".join(WAYS))

    def views_fitted(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the caches of the same layers of changed images, where weights are fitted."""
        if self.combine == "sum":
            return ()
        return changed_layers(self.view, self.views_among(cached), cached)

    def fit(self, train: Train) -> Fit:
        self.weights_: Logistic | None = None
        views = self.views_among(list(train.views))
        weighed = self.combine == "logistic"
        rows = "kept" if weighed else "all"
        found = yield from fit_each(
            {view: fit_class_gaussians(train_of(train, view, rows)) for view in views},
            kept_of_view if weighed else of_view,
        )
        self.classes_: dict[str, ClassGaussians] = {view: classes for view, (_, classes) in found.items()}
        self.note_ = notes_of({view.removeprefix(LAYER): one.note for view, one in self.classes_.items()})
        if weighed:
            changed = changed_layers(self.view, views, list(train.views))
            own, other = yield tuple(
                Numbers(("maha_layers", names), partial(self._distances, views=names)).on("held_out")
                for names in (views, changed)
            )
            self.weights_ = fit_logistic(-own, -other)

    def _distances(self, block: Block, views: Sequence[str]) -> Tensor:
        """Return -M_l of each layer, (B, L) float64, read from these views."""
        apart = self.combine == "logistic"
        columns = []
        for view, one in zip(views, self.classes_.values(), strict=True):
            its = block.views[view]
            # other means and axes than those of all rows, which blocks file under the same names
            columns.append(one.nearest(its.shared("apart", partial(Block, its.features)) if apart else its))
        return torch.stack(columns).T

    def score(self, block: Block) -> Tensor:
        distances = self._distances(block, list(self.classes_))
        return -distances.T.sum(dim=0) if self.weights_ is None else self.weights_(-distances)


class Numbers(Statistic[Tensor]):
    """A few numbers of every row, (N, L), in the order in which rows were seen.

    Parameters
    ----------
    name : hashable
        Which they are.
    of : callable
        Block → (B, L).
    """

    def __init__(self, name: Hashable, of: Callable[[Block], Tensor]) -> None:
        self.name, self.of = name, of
        self._pieces: list[Tensor] = []

    @property
    def key(self) -> Hashable:
        return ("numbers", self.name)

    def update(self, block: Block) -> None:
        self._pieces.append(self.of(block))

    def merge(self, other: Self) -> None:
        self._pieces += other._pieces

    def finalize(self) -> Tensor:
        if not self._pieces:
            raise ValueError("no rows were seen")
        return torch.cat(self._pieces)
