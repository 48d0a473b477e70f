"""WeiPer: what a row's logits are like under many randomly perturbed heads."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.perturbed import Bins, PerturbedHeads, histograms, perturbed_heads
from moodbench.scores.machinery.sample import chosen_rows
from moodbench.scores.machinery.statistics import Statistic

FLOOR, FLOOR_PERTURBED = 0.01, 0.025
"""What is added to every share of a histogram, of features and of perturbed logits, before logarithms are taken."""


@SCORES.register("weiper")
@dataclass
class WeiPer(Score):
    """``mean over R perturbed heads of max_k softmax((W + P_r) x + b)_k``: MSP under perturbed weights.

    Every row of P_r points in a random direction and is `distance` times as long as its row of W.

    Parameters
    ----------
    repeats : int, default=100
        R, as in the authors' configuration.
    distance : float, default=1.8
        delta, as there.
    seed : int, default=0
        Of the directions.

    Attributes
    ----------
    heads_ : PerturbedHeads
        W + P_r, and b.

    Notes
    -----
    A row takes R products with the head, and the perturbed heads R times its memory.

    References
    ----------
    Granz, Heurich and Landgraf, WeiPer: OOD Detection using Weight Perturbations of Class Projections, NeurIPS 2024,
    arXiv 2405.17164. Reference code: mgranz/weiper, openood/postprocessors/weiper_kldiv/utils.py:
    calculate_weiper_pred.
    """

    title = "WeiPer"
    family = "feature+logit"
    needs = frozenset({"head"})
    paper = "Granz et al., NeurIPS 2024, arXiv 2405.17164"
    year = 2024
    cost = "many directions"

    repeats: int = 100
    distance: float = 1.8
    seed: int = 0

    def __post_init__(self) -> None:
        check_heads("weiper", self.repeats, self.distance)

    def fit(self, train: Train) -> Fit:
        self.heads_ = perturbed_heads(train, self.repeats, self.distance, self.seed)
        yield from ()

    def score(self, block: Block) -> Tensor:
        return confidence(block, self.heads_)


@SCORES.register("weiper_kld")
@dataclass
class WeiPerKLD(Score):
    """``-(J(x) + lambda_1 J(H x) - lambda_2 s(x))``: numbers spread like those of ID train.

    H x are the logits of all perturbed heads, s is the score `weiper`. J compares the histogram of a row's numbers with
    the mean histogram of ID train, by KL(p || q) + KL(q || p).

    Parameters
    ----------
    repeats, distance
        As of `weiper`.
    bins : int, default=100
        Equal parts of the range that all numbers of ID train span.
    smoothing, smoothing_perturbed : int, default=4, 15
        How many neighbouring parts of a row's histogram are averaged, of features and of perturbed logits.
    lambda_1, lambda_2 : float, default=2.5, 0.1
        Weights of the perturbed logits and of `weiper`. All these are the authors' configuration.
    rows : int, default=300000
        The ranges and the mean histograms are those of about so many ID train rows, drawn at random: the number that
        stands in their configuration, which their program does not read.
    seed : int, default=0
        Of directions and rows.

    Attributes
    ----------
    heads_ : PerturbedHeads
        W + P_r, and b.
    ranges_ : tuple of float
        Smallest and largest feature entry of ID train, smallest and largest perturbed logit.
    means_ : (2, bins) float64
        Mean histograms of ID train, of features and of perturbed logits, with what `FLOOR` adds.

    Notes
    -----
    Numbers outside the range of ID train are in no part, and a row has so much less. The mean histogram of ID train is
    not smoothed. Two passes over ID train: one for the ranges, one for the histograms.

    References
    ----------
    Granz, Heurich and Landgraf, WeiPer: OOD Detection using Weight Perturbations of Class Projections, NeurIPS 2024,
    arXiv 2405.17164. Reference code: mgranz/weiper, openood/postprocessors/weiper_kldiv_postprocessor.py and
    weiper_kldiv/utils.py. Differences: there the directions are drawn anew for every batch (the argument that should
    pass them on has another name); the last batch of ID train weighs as much as the others; and an entry as large as
    the largest of ID train is outside (the 1e-8 that is added to the range is less than a float32 holds).
    """

    title = "WeiPer+KLD"
    family = "feature+logit"
    needs = frozenset({"head"})
    paper = "Granz et al., NeurIPS 2024, arXiv 2405.17164"
    year = 2024
    cost = "many directions"

    repeats: int = 100
    distance: float = 1.8
    bins: int = 100
    smoothing: int = 4
    smoothing_perturbed: int = 15
    lambda_1: float = 2.5
    lambda_2: float = 0.1
    rows: int = 300_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_heads("weiper_kld", self.repeats, self.distance)
        for name in ("smoothing", "smoothing_perturbed", "rows"):
            if getattr(self, name) < 1:
                raise UsageError(f"'weiper_kld' needs {name} >= 1, got {name}={getattr(self, name)}")
        if self.bins < 2:
            raise UsageError(f"'weiper_kld' needs bins >= 2, got bins={self.bins}")

    def fit(self, train: Train) -> Fit:
        self.heads_ = perturbed_heads(train, self.repeats, self.distance, self.seed)
        name = ("weiper", self.repeats, self.distance, self.seed)
        part = _Part(min(1.0, self.rows / max(1, train.rows)), self.seed)
        self.ranges_ = yield Ranges(name, self.heads_, part)
        means: Tensor = yield MeanHistograms(name, self.heads_, part, *self._bins())
        self.heads_.ask(self._bins()[1])
        self.means_ = torch.stack([_floored(means[0], FLOOR), _floored(means[1], FLOOR_PERTURBED)])
        windows = (_window(self.bins, width) for width in (self.smoothing, self.smoothing_perturbed))
        self._windows = [window.to(train.device) for window in windows]

    def _bins(self) -> tuple[Bins, Bins]:
        return (*self.ranges_[:2], self.bins), (*self.ranges_[2:], self.bins)

    def score(self, block: Block) -> Tensor:
        bins, bins_perturbed = self._bins()
        shares = feature_shares(block, bins), logit_shares(self.heads_.seen(block).counts[bins_perturbed], self.heads_)
        plain, perturbed = (
            _divergence(_floored(share @ window, floor), mean)
            for share, window, floor, mean in zip(
                shares, self._windows, (FLOOR, FLOOR_PERTURBED), self.means_, strict=True
            )
        )
        return self.lambda_2 * confidence(block, self.heads_) - plain - self.lambda_1 * perturbed


def confidence(block: Block, heads: PerturbedHeads) -> Tensor:
    """Return the mean over heads of the largest softmax probability, (B,) float64.

    What the other classes have is added up and taken off 1 at the end, so that confident rows keep their order.
    """
    return 1 - heads.seen(block).rest


def check_heads(score: str, repeats: int, distance: float) -> None:
    """Refuse parameters that make no perturbed heads."""
    if repeats < 1:
        raise UsageError(f"'{score}' needs repeats >= 1, got repeats={repeats}")
    if distance < 0:
        raise UsageError(f"'{score}' needs distance >= 0, got distance={distance:g}")


@dataclass(frozen=True)
class _Part:
    """A random share of the rows, by their own bits."""

    share: float
    seed: int

    def of(self, block: Block) -> Block:
        if self.share >= 1:
            return block
        return block.shared(("part", self), lambda: block.rows(chosen_rows(block, self.share, self.seed)))


Bounds = tuple[float, float, float, float]


class Ranges(Statistic[Bounds]):
    """Smallest and largest feature entry, and smallest and largest perturbed logit."""

    def __init__(self, name: Hashable, heads: PerturbedHeads, part: _Part) -> None:
        self.name, self.heads, self.share = name, heads, part
        self._bounds: Bounds = (torch.inf, -torch.inf, torch.inf, -torch.inf)

    @property
    def key(self) -> Hashable:
        return ("ranges", self.name, self.share)

    def update(self, block: Block) -> None:
        features = self.share.of(block).features
        if len(features):
            self._take(*_ends(features), torch.inf, -torch.inf)
            for logits in self.heads.logits(features):
                self._take(torch.inf, -torch.inf, *_ends(logits))

    def _take(self, *bounds: float) -> None:
        a, b, c, d = self._bounds
        self._bounds = (min(a, bounds[0]), max(b, bounds[1]), min(c, bounds[2]), max(d, bounds[3]))

    def merge(self, other: Self) -> None:
        self._take(*other._bounds)

    def finalize(self) -> Bounds:
        if self._bounds[0] > self._bounds[1]:
            raise ValueError("no rows were seen")
        return self._bounds


def _ends(values: Tensor) -> Iterator[float]:
    return (float(end) for end in torch.aminmax(values))


class MeanHistograms(Statistic[Tensor]):
    """The mean over rows of the histograms of their features and of their perturbed logits, (2, bins) float64."""

    def __init__(self, name: Hashable, heads: PerturbedHeads, part: _Part, bins: Bins, bins_perturbed: Bins) -> None:
        self.name, self.heads, self.share, self.bins, self.bins_perturbed = name, heads, part, bins, bins_perturbed
        self._count = 0
        self._total: Tensor | None = None

    @property
    def key(self) -> Hashable:
        return ("mean_histograms", self.name, self.share, self.bins, self.bins_perturbed)

    def update(self, block: Block) -> None:
        some = self.share.of(block)
        if len(some):
            perturbed = logit_shares(self.heads.counts(some.features, self.bins_perturbed), self.heads)
            both = feature_shares(some, self.bins), perturbed
            self._add(len(some), torch.stack([rows.sum(dim=0) for rows in both]))

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


def feature_shares(block: Block, bins: Bins) -> Tensor:
    """Return which share of a row's features lies in each bin, (B, bins) float64."""
    features = block.features
    return block.shared(("feature_shares", bins), lambda: histograms(features, bins).double() / features.shape[1])


def logit_shares(counts: Tensor, heads: PerturbedHeads) -> Tensor:
    """Return which share of a row's perturbed logits lies in each bin, (B, bins) float64, of how many they are."""
    return counts.double() / (len(heads.weight) * len(heads.bias))


def _floored(shares: Tensor, floor: float) -> Tensor:
    """Return shares (…, bins) with `floor` added, divided by their sum."""
    raised = shares + floor
    return raised / raised.sum(dim=-1, keepdim=True)


def _window(bins: int, width: int) -> Tensor:
    """Return the matrix (bins, bins) float64 that averages `width` neighbours; the ends go on for ever."""
    offsets = torch.arange(width) - (width - 1) // 2
    sources = (torch.arange(bins)[:, None] + offsets).clamp_(0, bins - 1)
    matrix = torch.zeros(bins, bins, dtype=torch.float64)
    targets = torch.arange(bins)[:, None].expand_as(sources)
    return matrix.index_put_((sources, targets), torch.tensor(1 / width, dtype=torch.float64), accumulate=True)


def _divergence(q: Tensor, p: Tensor) -> Tensor:
    """Return KL(p || q) + KL(q || p), (B,), of rows q (B, bins) and p (bins,)."""
    return ((q - p) * (q.log() - p.log())).sum(dim=1)
