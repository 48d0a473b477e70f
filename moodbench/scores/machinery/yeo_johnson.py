"""The power transform of Yeo and Johnson, which makes each column of a matrix look more like a normal variable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.machinery.vectorised import expm1_

WIDEST = 16
"""Powers are looked for between minus and plus this."""

FIRST = 1000
"""Rows on which whole powers are tried, before the rest is done on all rows."""

STEPS = 12
"""Of the search for the root of a slope: a step multiplies the digits that are right by 1.4."""

TOGETHER = 1 << 17
"""Numbers that are worked on at a time, so that they stay in the processor's cache."""

SMALL = 1e-5
"""Exponents below this are taken as this small: quotients by them would lose digits."""


@dataclass(frozen=True, eq=False)
class YeoJohnson:
    """x → ((1 + x)^p - 1) / p for x >= 0 and -((1 - x)^(2 - p) - 1) / (2 - p) below, with a power p of each column.

    Attributes
    ----------
    powers : (D,) float64
        p.

    References
    ----------
    Yeo and Johnson, A new family of power transformations to improve normality or symmetry, Biometrika 87, 2000.
    """

    powers: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Return rows (n, D) float64 transformed."""
        logs = rows.abs().log1p()
        exponents = _exponents(rows, self.powers)
        return expm1_(logs.mul_(exponents)).div_(exponents).copysign_(rows)


def fit_yeo_johnson(rows: Tensor) -> YeoJohnson:
    """Return the powers under which each column of rows (n, D) float64 is most likely to be normal.

    The likelihood has one maximum; it is found by trying whole numbers, and then as the root of its slope. Columns that
    do not vary get the power 1, which leaves them as they are.
    """
    columns = torch.split(rows, max(1, TOGETHER // len(rows)), dim=1)
    return YeoJohnson(torch.cat([_powers(some.contiguous()) for some in columns]))


def _powers(rows: Tensor) -> Tensor:
    few = rows[:FIRST]
    tried = torch.arange(-WIDEST, WIDEST + 1, dtype=rows.dtype, device=rows.device)
    best = tried[torch.stack([_likelihood(few, power.expand(rows.shape[1])) for power in tried]).argmax(dim=0)]
    logs = rows.abs().log1p()
    low, high = best - 2, best + 2
    at_low, at_high = _slope(rows, logs, low), _slope(rows, logs, high)
    above = torch.zeros_like(low, dtype=torch.bool)
    below = above
    for _ in range(STEPS):  # regula falsi; an end that stays twice weighs half, which is the rule of Illinois
        new = torch.where(at_low > at_high, low + (high - low) * at_low / (at_low - at_high), (low + high) / 2)
        new = torch.minimum(torch.maximum(new, low), high)
        at_new = _slope(rows, logs, new)
        rising = at_new > 0
        at_low = torch.where(rising, at_new, torch.where(below, at_low / 2, at_low))
        at_high = torch.where(rising, torch.where(above, at_high / 2, at_high), at_new)
        low, high = torch.where(rising, new, low), torch.where(rising, high, new)
        above, below = rising, ~rising
    varies = rows.amax(dim=0) > rows.amin(dim=0)
    return torch.where(varies, new, 1.0)


def _exponents(rows: Tensor, powers: Tensor) -> Tensor:
    """Return p where rows are not negative and 2 - p where they are, (n, D), kept away from zero."""
    above, below = (torch.where(e.abs() < SMALL, SMALL, e) for e in (powers, 2 - powers))
    return torch.where(rows >= 0, above, below)


def _likelihood(rows: Tensor, powers: Tensor) -> Tensor:
    """Return the logarithm of the likelihood of each column, but for a constant, (D,)."""
    spread = YeoJohnson(powers)(rows).var(dim=0, correction=0).clamp_min(torch.finfo(rows.dtype).tiny)
    return (powers - 1) * rows.abs().log1p().copysign_(rows).sum(dim=0) - len(rows) / 2 * spread.log()


def _slope(rows: Tensor, logs: Tensor, powers: Tensor) -> Tensor:
    """Return the derivative of `_likelihood` by the powers, (D,), divided by the number of rows.

    With e the exponent and L the logarithm, a value is ±(exp(e L) - 1) / e, and its derivative by p, on both sides,
    (L exp(e L) - (exp(e L) - 1) / e) / e.
    """
    exponents = _exponents(rows, powers)
    grown = expm1_(logs * exponents)
    values = grown / exponents
    moved = (grown.add_(1.0).mul_(logs) - values).div_(exponents)
    values.copysign_(rows)
    centred = values - values.mean(dim=0)
    spread = centred.square().mean(dim=0).clamp_min(torch.finfo(rows.dtype).tiny)
    return logs.copysign(rows).mean(dim=0) - (centred * moved).mean(dim=0) / spread
