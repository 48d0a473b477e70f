"""Igeood: Fisher-Rao distances between the softmax of a row and those of the classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block, softmax_and_rest
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import GroupedSums, GroupSums
from moodbench.scores.machinery.vectorised import arcsin_, places

NEAR = 0.9
"""Cosine above which an angle is measured by its chord: below it, float32 is off by 2e-7 at most."""

FEW = 4096
"""Entries of all centroids up to which everything is float64, which costs nothing there."""

ROUNDED = 2.0**-40
"""What sums are rounded to. Between two classes the sum is the same for all rows, which lie on one arc: so they tie,
and are not put in an order by the last bits of a float64."""

MANY = 8
"""Near classes of a row, on average, above which chords cost more than a product in float64."""

PAIR_ENTRIES = 2**20
"""Entries of the pairs of a row and a near class that are worked on at once: 4 MB in float32."""


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

    Attributes
    ----------
    centroids_ : Centroids
        q_k of the classes that have rows.

    Notes
    -----
    Square roots are taken once, and the cosines of all pairs are one product. An arccosine loses half of the digits
    near 1, and there the few nearest classes decide: those angles are measured directly, by their chords, and of all
    others it is pi / 2 less the arcsine, which keeps the digits of small cosines. Labels need not be the head's
    classes.

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
    year = 2022

    temperature: float = 1.0
    reduce: str = "sum"

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UsageError(f"the temperature of 'igeood_logit' must be positive, got {self.temperature}")
        if self.reduce not in ("sum", "min"):
            raise UsageError(f"'igeood_logit' reduces by 'sum' or 'min', not by '{self.reduce}'")

    def fit(self, train: Train) -> Fit:
        sums: GroupSums = yield LogitSumsByLabel(train.label_classes)
        self.centroids_ = Centroids.of(sums.means[sums.counts > 0] / self.temperature)

    def score(self, block: Block) -> Tensor:
        best = block.predicted
        if self.centroids_.roots.dtype == torch.float64:
            return self._reduced(*softmax_and_rest(block.logits.double() / self.temperature, best), best)
        if self.temperature != 1:
            return self._reduced(*softmax_and_rest(block.logits / self.temperature, best), best)
        return self._reduced(block.probabilities, block.rest, best)

    def _reduced(self, p: Tensor, rest: Tensor, best: Tensor) -> Tensor:
        roots = p.sqrt()
        cosines = product(roots, self.centroids_.roots.T)
        rows, classes = places(cosines > NEAR)
        cosines[rows, classes] = 0.0
        angles = self.centroids_.angles(roots, rest, best, rows, classes)
        if self.reduce == "min":
            nearest = math.pi / 2 - arcsin_(cosines.amax(dim=1)).double()
            return -2 * nearest.scatter_reduce_(0, rows, angles, "amin")
        # near angles are added as they are, and each takes away the pi / 2 of the zero that stands in its place
        total = len(self.centroids_.roots) * math.pi / 2 - arcsin_(cosines).sum(dim=1, dtype=torch.float64)
        total = 2 * total.index_add_(0, rows, angles - math.pi / 2)
        return torch.round(total / ROUNDED) * ROUNDED


@dataclass(frozen=True, eq=False)
class Centroids:
    """The softmax of K classes.

    Attributes
    ----------
    exact : (K, C) float64
        Square roots of the probabilities.
    roots : (K, C) float32 or float64
        The same, as rows are multiplied with them: in float64 where they are few.
    rests : (K, C) float64
        1 - q_kj, without rounding where q_kj is nearly 1.
    """

    exact: Tensor
    roots: Tensor
    rests: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> Centroids:
        """Return the centroids with these logits, (K, C) float64."""
        q = torch.softmax(logits, dim=1)
        best = q.argmax(dim=1, keepdim=True)
        others = q.scatter(1, best, 0.0).sum(dim=1, keepdim=True)
        dtype = torch.float64 if q.numel() <= FEW else torch.float32
        return cls(q.sqrt(), q.sqrt().to(dtype), (1 - q).scatter(1, best, others))

    def angles(self, roots: Tensor, rest: Tensor, best: Tensor, rows: Tensor, classes: Tensor) -> Tensor:
        """Return arccos(sqrt(p)·sqrt(q)) of some pairs of a row and a class, (n,) float64, by the length of the chord.

        All may be float32 and yet keeps its digits, because nothing is near 1: of the largest root of a row, which may
        be, the difference comes from what is left of both: a - b = (a^2 - b^2) / (a + b). Where rows have many near
        classes, because their softmax is flat, no angle decides, and the arccosine in float64 will do.

        Parameters
        ----------
        roots : (B, C)
            Square roots of the softmax of the rows.
        rest, best : (B,)
            Of `softmax_and_rest`.
        rows, classes : (n,) int64
        """
        if roots.dtype == torch.float32 and len(rows) > MANY * len(roots):
            exact = torch.nn.functional.normalize(roots.double(), dim=1)
            return torch.acos((exact @ self.exact.T).clamp_max_(1.0)[rows, classes])
        size = max(1, PAIR_ENTRIES // roots.shape[1])
        parts = [
            self._chords(roots[i], rest[i], best[i], k)
            for i, k in zip(torch.split(rows, size), torch.split(classes, size), strict=True)
        ]
        return 2 * torch.asin(torch.cat(parts) / 2)

    def _chords(self, roots: Tensor, rest: Tensor, best: Tensor, classes: Tensor) -> Tensor:
        others = roots - self.roots[classes]
        place = best[:, None]
        sums = (roots.gather(1, place) + self.roots[classes, best][:, None])[:, 0].double()
        squares = others.scatter_(1, place, 0.0).square_().sum(dim=1, dtype=torch.float64)
        left = rest.double() / (1 + rest.double())  # 1 - p of the largest
        return (squares + ((self.rests[classes, best] - left) / sums).square()).sqrt()
