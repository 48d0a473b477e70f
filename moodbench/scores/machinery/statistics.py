"""What scores learn from ID train, as sums that merge: ``update(block)``, ``merge(other)``, ``finalize()``.

Because they merge, the same code serves one process, several processes, or several machines each with a part of the
rows. Sums over rows accumulate in float64; only the work inside one block may be float32.
Two statistics with equal `key` are the same request: the engine computes one of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, Self, TypeVar

import torch
from torch import Tensor

from moodbench.scores.block import Block
from moodbench.scores.machinery.unit import exact_unit_features

V_co = TypeVar("V_co", covariant=True)


Part = Literal["train", "held_out"]
"""Which ID train rows a statistic sees: all of them, or those held out for tuning (or the benchmark's own ID validation
rows)."""


class Statistic(ABC, Generic[V_co]):
    """A mergeable summary of rows."""

    part: Part = "train"

    divisible: ClassVar[bool] = True
    """Whether several processes may see parts of the rows. Not of what is so large that copies of it would cost more
    than the pass."""

    def on(self, part: Part) -> Self:
        """Restrict the statistic to a part of the rows, and return it."""
        self.part = part
        return self

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Say what is computed: type and settings."""

    @abstractmethod
    def update(self, block: Block) -> None:
        """Take in a block of rows."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in what another instance with an equal key has seen."""

    @abstractmethod
    def finalize(self) -> V_co:
        """Return the value for all rows seen."""


@dataclass(frozen=True)
class Moment:
    """Count, sum and second moment of N rows about a fixed shift, float64.

    Attributes
    ----------
    count : int
        N.
    shift : (D,)
        The point s that sums are taken about.
    total : (D,)
        sum of (x - s).
    scatter : (D, D)
        sum of (x - s)(x - s)^T.
    """

    count: int
    shift: Tensor
    total: Tensor
    scatter: Tensor

    @property
    def mean(self) -> Tensor:
        """(D,) float64, the mean row."""
        return self.shift + self.total / self.count

    def covariance_about(self, point: Tensor) -> Tensor:
        """Return (1/N) sum (x - point)(x - point)^T, (D, D) float64. `point` (D,) need not be the mean."""
        offset = self.shift - point.to(self.shift)
        cross = torch.outer(offset, self.total)
        return (self.scatter + cross + cross.T) / self.count + torch.outer(offset, offset)

    def moved_to(self, shift: Tensor) -> Moment:
        """Return the same rows' moment about another shift."""
        offset = self.shift - shift
        total = self.total + self.count * offset
        return Moment(self.count, shift, total, self.count * self.covariance_about(shift))


class SecondMoment(Statistic[Moment]):
    """The second moment of all rows: covariances about any point follow from it without another pass.

    Rows are shifted by the mean of the first block, which takes the bulk of the size out of the sums, and multiplied in
    float64: a float32 product loses the small eigenvalues (below about 1e-6 of the largest) that Mahalanobis distances
    and null spaces are made of. With `unit`, rows are divided by their length before, in float64 too.
    """

    def __init__(self, *, unit: bool = False) -> None:
        self.unit = unit
        self._moment: Moment | None = None

    @property
    def key(self) -> Hashable:
        return ("second_moment", self.unit)

    def update(self, block: Block) -> None:
        x = exact_unit_features(block) if self.unit else block.features.double()
        if self._moment is None:
            dim = x.shape[1]
            zero = x.new_zeros(dim)
            self._moment = Moment(0, x.mean(dim=0), zero, x.new_zeros(dim, dim))
        m = self._moment
        x = x - m.shift if self.unit else x.sub_(m.shift)  # unit rows are shared
        add_gram(m.scatter, x)
        self._moment = Moment(m.count + len(block), m.shift, m.total + x.sum(dim=0), m.scatter)

    def merge(self, other: Self) -> None:
        if other._moment is None:
            return
        if self._moment is None:
            self._moment = other._moment
            return
        mine = self.finalize()
        theirs = other.finalize().moved_to(mine.shift)
        self._moment = Moment(
            mine.count + theirs.count, mine.shift, mine.total + theirs.total, mine.scatter + theirs.scatter
        )

    def finalize(self) -> Moment:
        if self._moment is None:
            raise ValueError("no rows were seen")
        m = self._moment
        upper = m.scatter.triu()
        return Moment(m.count, m.shift, m.total, upper + upper.triu(1).T)


PANELS = 4


def add_gram(total: Tensor, x: Tensor) -> None:
    """Add x^T x to the upper triangle of `total` (D, D), panel by panel: 5/8 of the multiplications of a full product.

    What lies below the diagonal is left undefined.
    """
    dim = x.shape[1]
    width = max(64, -(-dim // PANELS))
    for start in range(0, dim, width):
        panel = slice(start, start + width)
        total[panel, start:].addmm_(x[:, panel].T, x[:, start:])


@dataclass(frozen=True)
class GroupSums:
    """Row counts (K,) and sums (K, W) of K groups of rows, float64."""

    counts: Tensor
    sums: Tensor

    @property
    def means(self) -> Tensor:
        """(K, W) float64, the mean of each group; rows of empty groups are 0."""
        return self.sums / self.counts.clamp_min(1)[:, None]


class GroupedSums(Statistic[GroupSums]):
    """Sums of rows by group, one scatter a block. Group -1 (unknown) is left out."""

    def __init__(self, groups: int) -> None:
        self.groups = groups
        self._counts: Tensor | None = None
        self._sums: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return (type(self).__name__, self.groups)

    @abstractmethod
    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        """Return the group of each row, (B,) int64, and what to add up, (B, W)."""

    def update(self, block: Block) -> None:
        group, values = self.rows(block)
        known = group >= 0
        if not bool(known.all()):
            group, values = group[known], values[known]
        # float64 in the scatter itself: it is memory-bound, and float32 sums of thousands of rows would round
        sums = torch.zeros(self.groups, values.shape[1], dtype=torch.float64, device=values.device)
        sums.index_add_(0, group, values.double())
        counts = torch.bincount(group, minlength=self.groups).double()
        self._add(counts, sums)

    def _add(self, counts: Tensor, sums: Tensor) -> None:
        if self._counts is None or self._sums is None:
            self._counts, self._sums = counts, sums
        else:
            self._counts += counts
            self._sums += sums

    def merge(self, other: Self) -> None:
        if other._counts is not None and other._sums is not None:
            self._add(other._counts.clone(), other._sums.clone())

    def finalize(self) -> GroupSums:
        if self._counts is None or self._sums is None:
            raise ValueError("no rows were seen")
        return GroupSums(self._counts, self._sums)


class FeatureSumsByLabel(GroupedSums):
    """Counts and feature sums by true label: class means. With `unit`, rows are divided by their length before."""

    def __init__(self, groups: int, *, unit: bool = False) -> None:
        super().__init__(groups)
        self.unit = unit

    @property
    def key(self) -> Hashable:
        return (type(self).__name__, self.groups, self.unit)

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        return block.labels, exact_unit_features(block) if self.unit else block.features


class ProbabilitySumsByPrediction(GroupedSums):
    """Counts and softmax sums by predicted class (not by label): the templates of KL-Matching.

    Of rows with an entry too small for a float32 the softmax is taken in float64: the logarithm of a template's entry
    decides, however small it is.
    """

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        p = block.probabilities
        low = p.amin(dim=1) == 0
        if bool(low.all()):
            p = exact_softmax(block.logits)
        elif bool(low.any()):
            p = p.double()
            p[low] = exact_softmax(block.logits[low])
        return block.predicted, p


def exact_softmax(logits: Tensor) -> Tensor:
    """Return the softmax of logits (B, C) in float64, 0 where it is below e^-700 of the largest.

    A third of the time of `torch.softmax`, and numbers too small to be normal, which take ten times as long, are not
    met on the way.
    """
    x = logits.double()
    x -= x.amax(dim=1, keepdim=True)
    torch.threshold_(x, -700.0, -torch.inf).exp_()
    x /= x.sum(dim=1, keepdim=True)
    return x


class RowMean(Statistic[Tensor]):
    """The mean over rows of a vector of each, float64; subclasses say which."""

    def __init__(self) -> None:
        self._count = 0
        self._total: Tensor | None = None

    @abstractmethod
    def rows(self, block: Block) -> Tensor:
        """Return the vectors, (B, W)."""

    def update(self, block: Block) -> None:
        self._add(len(block), self.rows(block).sum(dim=0, dtype=torch.float64))

    def _add(self, count: int, total: Tensor) -> None:
        self._count += count
        self._total = total if self._total is None else self._total + total

    def merge(self, other: Self) -> None:
        if other._total is not None:
            self._add(other._count, other._total)

    def finalize(self) -> Tensor:
        if self._total is None:
            raise ValueError("no rows were seen")
        return self._total / self._count


class UnitMean(RowMean):
    """The mean of the unit features, (D,) float64."""

    key: Hashable = "unit_mean"

    def rows(self, block: Block) -> Tensor:
        return exact_unit_features(block)


class Mean(Statistic[float]):
    """The mean over rows of one number a row.

    Parameters
    ----------
    name : hashable
        What the number is: equal names must mean equal numbers.
    values : callable
        Block → (B,) tensor.
    """

    def __init__(self, name: Hashable, values: Callable[[Block], Tensor]) -> None:
        self.name = name
        self.values = values
        self._count = 0
        self._total = 0.0

    @property
    def key(self) -> Hashable:
        return ("mean", self.name)

    def update(self, block: Block) -> None:
        self._count += len(block)
        self._total += float(self.values(block).sum(dtype=torch.float64))

    def merge(self, other: Self) -> None:
        self._count += other._count
        self._total += other._total

    def finalize(self) -> float:
        if self._count == 0:
            raise ValueError("no rows were seen")
        return self._total / self._count


class NegativeShare(Mean):
    """The share of feature entries below zero: 0 after a ReLU, about one half after a LayerNorm."""

    def __init__(self) -> None:
        super().__init__("negative_share", lambda block: (block.features < 0).float().mean(dim=1))
