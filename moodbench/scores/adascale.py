"""AdaSCALE: SCALE with a percentile of each row's own, by how much its features shift when the image is changed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.shaping import check_percentile, gain, largest
from moodbench.scores.machinery.vectorised import sorted_rows
from moodbench.scores.machinery.viewing import OnView


@dataclass(frozen=True)
class _Shift:
    """``Q' = sum of relu(x') over the largest entries of x + weight · sum of |x - x'| over the very largest``."""

    view: str
    kept: float
    shifted: float
    weight: float

    def __call__(self, block: Block) -> Tensor:
        """Return Q', (B,) float32."""
        return block.shared(("adascale", self), lambda: self._of(block))

    def _of(self, block: Block) -> Tensor:
        x, changed = block.features, block.views[self.view].features
        many, few = (largest(block, max(1, int(x.shape[1] * share / 100))) for share in (self.kept, self.shifted))
        return (changed.clamp_min(0) * many).sum(1) + self.weight * ((x - changed).abs() * few).sum(1)


class _Shifts(Sample):
    """A sample of Q' over rows."""

    def __init__(self, size: int, shift: _Shift, seed: int) -> None:
        super().__init__(size, seed=seed)
        self.shift = shift

    @property
    def key(self) -> Hashable:
        return ("adascale_shifts", self.size, self.seed, self.shift)

    def update(self, block: Block) -> None:
        super().update(Block(self.shift(block)[:, None]))


@dataclass
class _AdaSCALE(OnView):
    """What both have: their parameters, and the ratio s1 / s2 of each row at its own percentile."""

    family = "feature+logit"
    needs: ClassVar = frozenset({"logits", "head", "views"})
    paper = "Regmi, 2025, arXiv 2503.08023"
    year = 2025
    sweep = {"low": (60.0, 70.0, 75.0, 80.0)}

    view: str = "adascale"
    low: float = 75.0
    high: float = 85.0
    kept: float = 5.0
    shifted: float = 1.0
    weight: float = 10.0
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        name = type(self).__name__
        for percentile in (self.low, self.high, self.kept, self.shifted):
            check_percentile(name, percentile)
        if self.low > self.high:
            raise UsageError(f"'low' of '{name}' may not be above 'high', got {self.low:g} and {self.high:g}")
        if self.rows < 1:
            raise UsageError(f"'rows' of '{name}' must be at least 1, got {self.rows}")

    def fit(self, train: Train) -> Fit:
        self.shift_ = _Shift(self.view_read(list(train.views)), self.kept, self.shifted, self.weight)
        found: Rows = yield _Shifts(self.rows, self.shift_, self.seed).on("held_out")
        self.shifts_ = found.features[:, 0].contiguous().sort().values

    def ratio(self, block: Block) -> Tensor:
        """Return s1 / s2, (B,): the sum of relu(x) over that of its largest entries; 1 where that is zero."""
        below = torch.searchsorted(self.shifts_, self.shift_(block), right=True)
        percentile = self.low + (1 - below.double() / len(self.shifts_)) * (self.high - self.low)
        entries = block.shared("sorted_entries", lambda: sorted_rows(block.features)).clamp_min(0)
        dim = entries.shape[1]
        kept = (dim - (dim * percentile / 100).round().long()).clamp_min(1)
        sums = entries.flip(1).cumsum(1, dtype=torch.float64)
        top = sums.gather(1, kept[:, None] - 1)[:, 0]
        return torch.where(top == 0, 1.0, sums[:, -1] / top).float()

    @abstractmethod
    def score(self, block: Block) -> Tensor: ...


@SCORES.register("adascale_a")
@dataclass
class AdaSCALEA(_AdaSCALE):
    """``log sum_k exp((a W x + b)_k)`` with a = exp(s1 / s2): `scale` at a percentile p of the row's own.

    ``p = low + (1 - F(Q')) (high - low)``, with F the share of held-out ID rows whose Q' is not larger, and ``Q' =
    sum of relu(x'_i) over the `kept` % largest x_i + weight · sum of |x_i - x'_i| over the `shifted` % largest x_i``.
    x' are the features of the images that ``--view adascale`` changes. s1 is the sum of relu(x), s2 that of its
    D - round(D p / 100) largest entries.

    Parameters
    ----------
    view : str, default="adascale"
        The cached view of changed images, with its numbers (``adascale-0.05``) where there are several.
    low, high : float, default=75, 85
        Between which p lies.
    kept, shifted : float, default=5, 1
        Percent of the entries of x, rounded down, at least one entry (the reference takes none where D < 100).
    weight : float, default=10
        The paper's lambda.
    rows : int, default=5000
        Held-out ID rows that F is made of, at most.
    seed : int, default=0
        Which these are.

    Attributes
    ----------
    shift_ : callable
        Block → Q', (B,) float32.
    shifts_ : (n,) float32
        Q' of those rows, rising.
    bias_ : (C,) float32
        That of the head.

    Notes
    -----
    `low` and `high` are published for each network, chosen on OOD validation sets (80 and 85 for ResNet-50). In paper
    and program the names of k1 and k2 are exchanged; which share belongs to which sum is not.

    References
    ----------
    Regmi, AdaSCALE: adaptive scaling for OOD detection, arXiv 2503.08023. Reference code: Jingkang50/OpenOOD,
    openood/postprocessors/adascale_postprocessor.py and networks/adascale_net.py.
    """

    title = "AdaSCALE-A"

    def fit(self, train: Train) -> Fit:
        assert train.bias is not None
        self.bias_ = train.bias
        yield from super().fit(train)

    def score(self, block: Block) -> Tensor:
        scale = gain(self.ratio(block))[:, None]
        return log_sum_exp(torch.addcmul(self.bias_, scale, block.logits - self.bias_))


@SCORES.register("adascale_l")
@dataclass
class AdaSCALEL(_AdaSCALE):
    """``log sum_k exp(l_k (s1 / s2)^2)``: as `adascale_a`, with the logits scaled instead of the features.

    Parameters
    ----------
    view : str, default="adascale"
        The cached view of changed images, with its numbers (``adascale-0.05``) where there are several.
    low, high : float, default=75, 85
        Between which the percentile lies.
    kept, shifted : float, default=5, 1
        Percent of the entries of x, rounded down, at least one entry (the reference takes none where D < 100).
    weight : float, default=10
        The paper's lambda.
    rows : int, default=5000
        Held-out ID rows, at most, by which the percentile is chosen.
    seed : int, default=0
        Which these are.

    Attributes
    ----------
    shift_ : callable
        Block → Q', (B,) float32.
    shifts_ : (n,) float32
        Q' of those rows, rising.

    References
    ----------
    Regmi, AdaSCALE: adaptive scaling for OOD detection, arXiv 2503.08023. Reference code: Jingkang50/OpenOOD,
    openood/postprocessors/adascale_postprocessor.py and networks/adascale_net.py.
    """

    title = "AdaSCALE-L"

    def score(self, block: Block) -> Tensor:
        return log_sum_exp(block.logits * self.ratio(block).square()[:, None])
