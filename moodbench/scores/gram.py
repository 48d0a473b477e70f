"""Gram: whether products of channels lie where those of ID train images of the predicted class do."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import HELD_OUT, Block
from moodbench.scores.machinery.statistics import Mean, Statistic
from moodbench.scores.machinery.viewing import OnView, lacking_view
from moodbench.views import CHANGED

TINY = 1e-6
"""What the authors' program adds to a bound before it divides by its size."""

LEAST = 1e-7
"""What it adds to the mean deviation of a layer."""


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest value of every number in the rows of each predicted class, (C, W) float32 each."""

    low: Tensor
    high: Tensor

    def deviations(self, block: Block, view: str) -> Tensor:
        """Return how far rows lie outside, (B,) float64, divided by the confidence of the prediction."""
        values = block.views[view].features
        low, high = self.low[block.predicted], self.high[block.predicted]
        # at most one of the two is not zero
        below = (low - values).clamp_min_(0).div_(low.add_(TINY).abs_())
        above = (values - high).clamp_min_(0).div_(high.add_(TINY).abs_())
        return below.add_(above).sum(dim=1, dtype=torch.float64) / block.confidence.double()


class RangesByPrediction(Statistic[Ranges]):
    """The ranges of a view's numbers by predicted class, over the ID train rows that are not held out.

    A class that no row is predicted to be has the range of all rows.
    """

    def __init__(self, view: str, classes: int) -> None:
        self.view, self.classes = view, classes
        self._low: Tensor | None = None
        self._high: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return (type(self).__name__, self.view, self.classes)

    def update(self, block: Block) -> None:
        numbers = torch.arange(block.start, block.start + len(block), device=block.features.device)
        kept = numbers % HELD_OUT != HELD_OUT - 1
        values, group = block.views[self.view].features[kept], block.predicted[kept]
        if self._low is None or self._high is None:
            self._low = values.new_full((self.classes, values.shape[1]), torch.inf)
            self._high = torch.full_like(self._low, -torch.inf)
        place = group[:, None].expand_as(values)
        self._low.scatter_reduce_(0, place, values, "amin")
        self._high.scatter_reduce_(0, place, values, "amax")

    def merge(self, other: Self) -> None:
        if other._low is None or other._high is None:
            return
        if self._low is None or self._high is None:
            self._low, self._high = other._low.clone(), other._high.clone()
        else:
            torch.minimum(self._low, other._low, out=self._low)
            torch.maximum(self._high, other._high, out=self._high)

    def finalize(self) -> Ranges:
        if self._low is None or self._high is None:
            raise ValueError("no rows were seen")
        empty = (self._low > self._high).any(dim=1)  # infinite on both sides
        self._low[empty] = self._low.amin(dim=0)
        self._high[empty] = self._high.amax(dim=0)
        return Ranges(self._low, self._high)


@SCORES.register("gram")
@dataclass
class Gram(OnView):
    """``-sum over layers l of d_l(x) / mean d_l``, the mean over held-out ID rows.

    ``d_l(x) = (1 / max p(x)) sum_n (max(low_n - g_n, 0) / |low_n| + max(g_n - high_n, 0) / |high_n|)``: g are the
    numbers that ``extract --view gram`` makes of layer l (row sums of Gram matrices between channels, of several
    orders), low and high their smallest and largest values in the ID train rows that are predicted to be of the
    same class.

    Parameters
    ----------
    view : str, default="gram"
        All cached views that begin so; or some, joined by ``+``: ``gram-blocks.3+gram-blocks.7``.

    Attributes
    ----------
    ranges_ : dict of str to Ranges
        Of each view.
    means_ : dict of str to float
        Mean deviation of the held-out rows.

    Notes
    -----
    As in the authors' program, 1e-6 is added to bounds and 1e-7 to means before these divide, deviations are divided
    by the confidence, and the classes are the predicted ones, of ID train rows too. The program takes a tenth of the
    ID test images for the means; here they are the benchmark's ID validation rows, else every tenth ID train row.
    Those tenths are never among the rows that ranges are taken from: no row lies outside a range that it is part of.
    A class that no such row is predicted to be, which the program cannot treat, has the range of all rows.

    Two numbers are kept for each class, layer, order and channel: 2 · C · orders · D float32 a layer.

    References
    ----------
    Sastry and Oore, Detecting Out-of-Distribution Examples with Gram Matrices, ICML 2020, arXiv 1912.12510.
    Reference code: VectorInstitute/gram-ood-detection, ResNet_Cifar10.ipynb.
    """

    title = "Gram"
    family = "feature+logit"
    needs = frozenset({"logits", "views"})
    paper = "Sastry and Oore, ICML 2020, arXiv 1912.12510"
    year = 2020

    view: str = "gram"

    def views_counted(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the caches that begin with `view`, of one layer perhaps several."""
        found: set[str] = set()
        for part in self.view.split("+"):
            wanted = CHANGED + part
            some = {wanted} & set(cached) or {name for name in cached if name.startswith(f"{wanted}-")}
            if not some:
                raise ScoreError(lacking_view(part, cached))
            found |= some
        return tuple(name for name in cached if name in found)

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the same, and refuse several of one layer."""
        found = self.views_counted(cached)
        layers: dict[str, str] = {}
        for name in found:
            layer = name.partition("-powers")[0]
            if layer in layers:
                both = " and ".join(one.removeprefix(CHANGED) for one in (layers[layer], name))
                raise ScoreError(f"several views of one layer, and the parameter view does not say which: {both}")
            layers[layer] = name
        return found

    def fit(self, train: Train) -> Fit:
        assert train.classes is not None
        views = self.views_among(list(train.views))
        ranges = yield tuple(RangesByPrediction(view, train.classes) for view in views)
        self.ranges_: dict[str, Ranges] = dict(zip(views, ranges, strict=True))
        means = yield tuple(
            Mean(("gram", view), partial(one.deviations, view=view)).on("held_out")
            for view, one in self.ranges_.items()
        )
        self.means_: dict[str, float] = dict(zip(views, means, strict=True))

    def score(self, block: Block) -> Tensor:
        total = torch.zeros(len(block), dtype=torch.float64, device=block.features.device)
        for view, one in self.ranges_.items():
            total -= one.deviations(block, view) / (self.means_[view] + LEAST)
        return total
