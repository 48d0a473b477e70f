"""OpenMax: the softmax with one more class, for what is unknown."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.class_means import correct_class, head_classes
from moodbench.scores.machinery.statistics import GroupedSums, GroupSums, Statistic
from moodbench.scores.machinery.weibull import Weibulls, fit_weibulls

DISTANCES = ("eucos", "euclidean", "cosine")

FEW = 40
"""A row's inner products with a few class means are cheaper than with all, up to one class in so many."""

CHUNK = 64
"""Rows whose class means are gathered at a time."""


class LogitSumsOfCorrect(GroupedSums):
    """Counts and logit sums, by class, of the rows that are classified correctly: mean activation vectors."""

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        return correct_class(block), block.logits


def distance(kind: str, logits: Tensor, means: Tensor) -> Tensor:
    """Return the distance of each row to its own mean, (B,); `logits` and `means` are (B, C).

    "eucos" is the Euclidean distance divided by 200 plus the cosine distance, the authors' choice.
    """
    lengths = torch.linalg.vector_norm(logits, dim=1) * torch.linalg.vector_norm(means, dim=1)
    cosine: Tensor = 1 - torch.linalg.vecdot(logits, means) / lengths.clamp_min_(torch.finfo(lengths.dtype).tiny)
    if kind == "cosine":
        return cosine
    euclidean: Tensor = torch.linalg.vector_norm(logits - means, dim=1)
    return euclidean if kind == "euclidean" else euclidean / 200 + cosine


def chosen_products(rows: Tensor, means: Tensor, classes: Tensor) -> Tensor:
    """Return the inner products of each row with the means of some classes, (B, alpha).

    A few rows at a time, whose means fit into a processor's cache: less work than the products with all classes.
    """
    if classes.shape[1] * FEW > len(means) or rows.device.type != "cpu":
        return (rows @ means.T).gather(1, classes)
    parts = [
        torch.bmm(means.index_select(0, best.reshape(-1)).view(*best.shape, -1), x[:, :, None])[:, :, 0]
        for x, best in zip(torch.split(rows, CHUNK), torch.split(classes, CHUNK), strict=True)
    ]
    return torch.cat(parts)


class Tails(Statistic[Tensor]):
    """The `size` largest distances to the class mean among the correctly classified rows of each class.

    Parameters
    ----------
    size : int
    kind : str
        Which distance.
    means : (C, C) float64
        Mean logits of each class, as `LogitSumsOfCorrect` has them: they are the same for all who ask.
    """

    def __init__(self, size: int, kind: str, means: Tensor) -> None:
        self.size, self.kind, self.means = size, kind, means
        self.single = means.float()
        self._tails = means.new_full((len(means), size), -torch.inf)

    @property
    def key(self) -> Hashable:
        return ("openmax_tails", self.size, self.kind)

    def update(self, block: Block) -> None:
        group = correct_class(block)
        known = (group >= 0).nonzero()[:, 0]
        group = group[known]
        logits, means = block.logits.index_select(0, known), self.single.index_select(0, group)
        self._add(group, distance(self.kind, logits, means).double())

    def merge(self, other: Self) -> None:
        group = torch.arange(len(self.means), device=self.means.device).repeat_interleave(self.size)
        self._add(group, other._tails.reshape(-1))

    def _add(self, group: Tensor, values: Tensor) -> None:
        """Merge values (n,) of classes (n,) into the tails of those classes, all at once."""
        longer = values > self._tails[group, -1]  # after a few blocks hardly any
        group, values = group[longer], values[longer]
        classes, place = torch.unique(group, return_inverse=True)
        old = torch.arange(len(classes), device=place.device).repeat_interleave(self.size)
        values = torch.cat([values, self._tails[classes].reshape(-1)])
        place = torch.cat([place, old])
        order = values.argsort(descending=True)
        order = order[place[order].argsort(stable=True)]  # by class, and within a class by falling distance
        place, values = place[order], values[order]
        first = torch.searchsorted(place, torch.arange(len(classes), device=place.device))
        rank = torch.arange(len(place), device=place.device) - first[place]
        kept = rank < self.size
        self._tails[classes[place[kept]], rank[kept]] = values[kept]

    def finalize(self) -> Tensor:
        """Return the tails, (C, size) float64, falling; -inf where a class has fewer rows."""
        return self._tails


@SCORES.register("openmax")
@dataclass
class OpenMax(Score):
    """``log((1 - p_u) / p_u)`` with p_u the probability of the unknown class.

    The logits of the `alpha` best classes are revised: the j-th best becomes l_k (1 - w_j F_k(d_k)) with
    w_j = (alpha + 1 - j) / alpha, d_k the distance of the row's logits to the mean logits of class k, and F_k the
    distribution function of a Weibull law fitted to the largest such distances in ID train. What is taken away in all
    is the logit of the unknown class, and p_u its softmax probability.

    Parameters
    ----------
    tail : int, default=20
        Number of distances of each class that the Weibull law is fitted to.
    alpha : int, default=10
        Number of classes to revise; all classes where there are fewer.
    distance : {"eucos", "euclidean", "cosine"}, default="eucos"

    Attributes
    ----------
    means_ : (C, C) float64
        The mean logits of each class.
    weibulls_ : Weibulls
        One for each class.
    centre_, centred_ : (C,) and (C, C) float32
        The mean of `means_`, and `means_` less that.
    lengths_ : (C,) float64
        The lengths of `means_`.

    Notes
    -----
    Means and tails are those of rows classified correctly. Logits of classes without two different distances are not
    revised. The Weibull law is fitted, as the authors' library does, to the distances less the smallest in the tail
    plus 10,000, by maximum likelihood, for all classes at once. A negative logit grows when it is revised: that is the
    method. The paper's score is p_u; here it is given as minus its logit, which orders rows in the same way and does
    not round.

    References
    ----------
    Bendale and Boult, Towards Open Set Deep Networks, CVPR 2016, arXiv 1511.06233, algorithms 1 and 2. Reference code:
    abhijitbendale/OSDN, compute_openmax.py, with its libMR. Differences: OSDN's Euclidean distance divides by 200 in
    the test but not in the fit; OpenOOD takes alpha = 3 and the Euclidean distance, and overflows for large logits.
    """

    title = "OpenMax"
    family = "logit"
    needs = frozenset({"logits", "labels"})
    paper = "Bendale & Boult, CVPR 2016, arXiv 1511.06233"
    year = 2016

    tail: int = 20
    alpha: int = 10
    distance: str = "eucos"

    def __post_init__(self) -> None:
        if self.tail < 2 or self.alpha < 1:
            raise UsageError(f"'openmax' needs tail >= 2 and alpha >= 1, got tail={self.tail} and alpha={self.alpha}")
        if self.distance not in DISTANCES:
            raise UsageError(f"'openmax' has no distance '{self.distance}'", fix=f"known are {', '.join(DISTANCES)}")

    def fit(self, train: Train) -> Fit:
        classes = head_classes(train)
        sums: GroupSums = yield LogitSumsOfCorrect(classes)
        self.means_ = sums.means
        tails: Tensor = yield Tails(self.tail, self.distance, sums.means)
        self.weibulls_: Weibulls = fit_weibulls(tails)
        self.centre_ = sums.means.mean(dim=0).float()
        self.centred_ = sums.means.float() - self.centre_
        self.lengths_ = torch.linalg.vector_norm(sums.means, dim=1)
        fitted = int(self.weibulls_.fitted.sum())
        if fitted == 0:
            raise ScoreError("no class has two different correct ID train rows")
        if fitted < classes:
            self.note_ = f"{classes - fitted} of {classes} classes have too few correct ID train rows"

    def score(self, block: Block) -> Tensor:
        logits = block.logits
        alpha = min(self.alpha, logits.shape[1])
        top, best = logits.topk(alpha, dim=1)
        falling = torch.arange(alpha, 0, -1, device=logits.device) / alpha
        taken = top.double() * self.weibulls_.cdf(self._distances(logits, best), best) * falling
        revised = logits.scatter(1, best, (top - taken).float())
        return log_sum_exp(revised).double() - taken.sum(dim=1)

    def _distances(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Return the distance of each row to the means of some classes, (B, alpha) float64, from inner products.

        Rows and means are centred at the mean of all means, so that the expanded square does not cancel.
        """
        x = logits - self.centre_
        inner = chosen_products(x, self.centred_, classes).double()  # (l - c)·(m - c)
        squares = [t.square().sum(dim=1, dtype=torch.float64) for t in (x, self.centred_)]
        euclidean: Tensor = (squares[0][:, None] + squares[1][classes] - 2 * inner).clamp_min(0).sqrt()
        if self.distance == "euclidean":
            return euclidean
        c = self.centre_.double()
        dot = inner + ((x @ self.centre_).double()[:, None] + (self.centred_ @ self.centre_).double()[classes] + c @ c)
        lengths = torch.linalg.vector_norm(logits, dim=1).double()[:, None] * self.lengths_[classes]
        cosine: Tensor = 1 - dot / lengths.clamp_min(torch.finfo(torch.float32).tiny)
        return cosine if self.distance == "cosine" else euclidean / 200 + cosine
