"""Weibull laws fitted to the tails of many groups at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TRANSLATION = 1e4
"""What the authors of OpenMax add to distances, less the smallest, before the fit. It is far larger than the distances,
which makes the law nearly that of extreme values (Gumbel's, of minima), with some weight below the tail as well."""


@dataclass(frozen=True, eq=False)
class Weibulls:
    """One two-parameter Weibull law for each of K groups, F(x) = 1 - exp(-(x / b)^a).

    x is a distance d less the smallest of its group's tail plus `TRANSLATION`. With y = log(x / TRANSLATION), and Y its
    value for the largest distance of the tail, (x / b)^a = exp(shape · y / Y - level): numbers of moderate size, where
    a itself is of the order of ten thousand.

    Attributes
    ----------
    smallest, spread, shape, level : (K,) float64
        The smallest distance, Y, a · Y, and the logarithm of the mean of exp(a y) over the tail.
    fitted : (K,) bool
        False for groups without two different distances, where F is 0.
    """

    smallest: Tensor
    spread: Tensor
    shape: Tensor
    level: Tensor
    fitted: Tensor

    def cdf(self, distances: Tensor, groups: Tensor) -> Tensor:
        """Return F of each distance (n,) under the law of its group (n,)."""
        y = _log_ratio(distances, self.smallest[groups])
        exponent = self.shape[groups] * y / self.spread[groups] - self.level[groups]
        return torch.where(self.fitted[groups], -torch.expm1(-exponent.exp()), 0.0)


def _log_ratio(distances: Tensor, smallest: Tensor) -> Tensor:
    return torch.log1p(((distances - smallest) / TRANSLATION).clamp_min(-1.0))


def fit_weibulls(tails: Tensor) -> Weibulls:
    """Fit by maximum likelihood.

    Parameters
    ----------
    tails : (K, n) float64
        Distances in falling order; -inf fills up groups with fewer.

    Notes
    -----
    The likelihood leaves one equation for the shape a: the mean of z weighted by exp(a z), less the plain mean, less
    1 / a, is zero, for the logarithms z = y / Y in [0, 1]. The left side rises with a; it is negative at a = 1, and
    positive at n^2 + n because the largest z is at least 1/n above the mean. Halving that interval 64 times, for all
    groups together, gives every digit, and costs nothing beside a pass over the rows.
    """
    there = torch.isfinite(tails)
    counts = there.sum(dim=1)
    smallest = torch.where(there, tails, torch.inf).amin(dim=1)
    smallest = torch.where(counts > 0, smallest, 0.0)
    y = _log_ratio(torch.where(there, tails, smallest[:, None]), smallest[:, None])
    spread = y.amax(dim=1)
    fitted = (counts > 1) & (spread > 0)
    spread = torch.where(fitted, spread, 1.0)
    z = y / spread[:, None]
    mean = z.sum(dim=1) / counts.clamp_min(1)
    low, high = torch.ones_like(mean), (counts.square() + counts).clamp_min(2).to(mean)
    for _ in range(64):
        shape = (low + high) / 2
        weights = torch.where(there, (shape[:, None] * (z - 1)).exp(), 0.0)
        weighted = (weights * z).sum(dim=1) / weights.sum(dim=1).clamp_min(torch.finfo(z.dtype).tiny)
        below = weighted - mean < 1 / shape
        low, high = torch.where(below, shape, low), torch.where(below, high, shape)
    level = torch.logsumexp((shape[:, None] * z).masked_fill(~there, -torch.inf), dim=1) - counts.clamp_min(1).log()
    return Weibulls(smallest, spread, shape, torch.where(fitted, level, 0.0), fitted)
