"""Activation shaping: change the features, send them through the head, take the energy.

What the scores of this family share: the energy of shaped features (`ShapedEnergy`), the choice of the largest entries
of a row, the ratio of their sums, several entry quantiles in two passes, and mean and spread of each feature.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Hashable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import Fit, Score, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.quantile import entry_quantile
from moodbench.scores.machinery.statistics import NegativeShare, Part, Statistic
from moodbench.scores.machinery.vectorised import sorted_rows
from moodbench.sizes import percent

LARGEST_EXPONENT = 80.0
"""exp of it times any logit still fits into float32; the ratios of published features lie between 1 and 10."""


CHUNK = 512
"""Rows whose logits fit into a processor's cache."""


class ShapedEnergy(Score):
    """Base of the scores ``log sum_k exp((W x' + b)_k)`` that differ in how they shape x into x'.

    Subclasses say `shape`. Those published for non-negative features inherit this `fit`, which notes the share of
    negative entries; the others take the head in their own.
    """

    family = "feature+logit"
    needs = frozenset({"head"})

    def fit(self, train: Train) -> Fit:
        self.take_head(train)
        share: float = yield NegativeShare()
        self.note_ = signed_note(share)

    def take_head(self, train: Train) -> None:
        """Keep the head for scoring."""
        assert train.weight is not None
        assert train.bias is not None
        self.weight_, self.bias_ = train.weight, train.bias

    @abstractmethod
    def shape(self, block: Block) -> Tensor:
        """Return x', (B, D) float32, for a block's features, which stay as they are."""

    def score(self, block: Block) -> Tensor:
        return head_energy(self.shape(block), self.weight_, self.bias_)


def head_energy(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return log sum_k exp((W x + b)_k), (B,), for features (B, D).

    On a CPU a few rows at a time: their logits stay in its caches until they are summed.
    """
    parts = torch.split(features, CHUNK if features.device.type == "cpu" else max(1, len(features)))
    return torch.cat([log_sum_exp(product(rows, weight.T, bias)) for rows in parts])


def signed_note(share: float) -> str | None:
    """Return what the results say of a method for non-negative features where a `share` of the entries is negative."""
    if share < 0.005:
        return None
    return f"published for non-negative features; {percent(share, 0)} of the entries are negative"


def check_percentile(score: str, percentile: float) -> None:
    """Refuse a percentile outside [0, 100]."""
    if not 0 <= percentile <= 100:
        raise UsageError(f"the percentile of '{score}' lies in [0, 100], got {percentile:g}")


def check_quantile(score: str, quantile: float) -> None:
    """Refuse a quantile outside [0, 1]."""
    if not 0 <= quantile <= 1:
        raise UsageError(f"the quantile of '{score}' lies in [0, 1], got {quantile:g}")


def kept_count(dim: int, percentile: float) -> int:
    """Return k = D - round(D · percentile / 100), halves to the even neighbour, and at least 1."""
    return max(1, dim - round(dim * percentile / 100))


def top_entries(block: Block, k: int) -> Tensor:
    """Return the k largest entries of every row, rising, (B, k); rows are sorted once a block for all scores."""
    entries = block.shared("sorted_entries", lambda: sorted_rows(block.features))
    return entries[:, entries.shape[1] - k :]


def largest(block: Block, k: int) -> Tensor:
    """Mark the k largest entries of every row with 1 and the others with 0, (B, D); of equal ones the first are taken.

    `torch.topk` takes any of equal entries, so what remains of a row would depend on the device.
    """
    features, dim = block.features, block.features.shape[1]
    entries = top_entries(block, min(k + 1, dim))
    threshold = entries[:, -k, None]
    # a comparison into floats, because the product of floats with truth values is five times slower
    kept = torch.ge(features, threshold, out=torch.empty_like(features))
    tied = (entries[:, 0] == entries[:, -k]).nonzero()[:, 0] if k < dim else ()
    if len(tied):
        above = features[tied] > threshold[tied]
        equal = features[tied] == threshold[tied]
        free = k - above.sum(dim=1, keepdim=True)
        kept[tied] = (above | (equal & (equal.cumsum(dim=1) <= free))).float()
    return kept


def sum_ratio(block: Block, k: int, *, relu: bool) -> Tensor:
    """Return r = s1 / s2, (B,): the sum of all entries over that of the k largest; 1 where s2 is zero.

    With `relu` negative entries count as zero in both sums.
    """
    entries, best = block.features, top_entries(block, k)
    if relu:
        entries, best = entries.clamp_min(0), best.clamp_min(0)
    top = best.sum(dim=1)
    return torch.where(top == 0, 1.0, entries.sum(dim=1) / top)


def gain(ratio: Tensor) -> Tensor:
    """Return exp(r), with r cut where float32 would overflow: signed entries can bring s2 close to zero."""
    return ratio.clamp_max(LARGEST_EXPONENT).exp()


def entry_quantiles(
    *levels: float, part: Part = "train"
) -> Generator[tuple[Statistic[Any], ...], Any, tuple[float, ...]]:
    """Return (with ``yield from``) quantiles of all feature entries, in the passes that one of them takes."""
    searches = {level: entry_quantile(level) for level in levels}
    answers: dict[float, Any] = dict.fromkeys(searches)
    found: dict[float, float] = {}
    while len(found) < len(searches):
        wanted: dict[float, tuple[Statistic[Any], ...]] = {}
        for level, search in searches.items():
            try:
                request = search.send(answers[level])
            except StopIteration as end:  # they all take the same number of steps, so all end here
                found[level] = end.value
            else:
                wanted[level] = request if isinstance(request, tuple) else (request,)
        if wanted:
            values = iter((yield tuple(s.on(part) for request in wanted.values() for s in request)))
            for level, request in wanted.items():
                answer = tuple(next(values) for _ in request)
                answers[level] = answer if len(answer) > 1 else answer[0]
    return tuple(found[level] for level in levels)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (divided by N) of every feature, (D,) float64 each."""

    mean: Tensor
    std: Tensor


class FeatureSpread(Statistic[Spread]):
    """Mean and standard deviation of every feature, in time proportional to N·D.

    Sums are taken about the mean of the first block, so that squares do not cancel.
    """

    key: Hashable = "feature_spread"

    def __init__(self) -> None:
        self._count = 0
        self._sums: tuple[Tensor, Tensor, Tensor] | None = None  # shift, sum and sum of squares about it

    def update(self, block: Block) -> None:
        x = block.features.double()
        shift = x.mean(dim=0) if self._sums is None else self._sums[0]
        x -= shift
        self._add(len(block), (shift, x.sum(dim=0), x.square_().sum(dim=0)))

    def _add(self, count: int, sums: tuple[Tensor, Tensor, Tensor]) -> None:
        if self._sums is None:
            self._count, self._sums = count, sums
            return
        shift, total, squares = self._sums
        offset = sums[0] - shift
        moved = sums[1] + count * offset
        squares = squares + sums[2] + 2 * offset * sums[1] + count * offset.square()
        self._count, self._sums = self._count + count, (shift, total + moved, squares)

    def merge(self, other: Self) -> None:
        if other._sums is not None:
            self._add(other._count, other._sums)

    def finalize(self) -> Spread:
        if self._sums is None:
            raise ValueError("no rows were seen")
        shift, total, squares = self._sums
        offset = total / self._count
        return Spread(shift + offset, (squares / self._count - offset.square()).clamp_min(0).sqrt())
