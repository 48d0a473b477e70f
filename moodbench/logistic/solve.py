"""L-BFGS in coordinates in which all directions are about equally curved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.logistic.objective import cross_entropy
from moodbench.logistic.rows import Moments, StandardisedRows

Tick = Callable[[float, float], None]
"""Is told after every pass: the penalty, and how long the gradient is, relative to the start."""

_MEMORY = 10
"""Steps that L-BFGS remembers."""

_LEAST_DOUBT = 1e-3
"""Curvature is not taken to be less than this share of that at zero weights, however certain the classifier is."""

_NOTHING = 1e-8
"""A gradient as short as this promises about half its square, in nats: it is rounding."""


@dataclass(frozen=True)
class Fit:
    """A minimum, or how near the solver came.

    Attributes
    ----------
    weight, bias : (C, D) and (C,) float64
        On standardised rows.
    lam : float
    loss : float
        Mean cross-entropy, without the penalty.
    gradient : float
        Length of the gradient relative to that at the start, in the solver's coordinates.
    iterations, passes : int
        Passes over the rows are more than iterations where a step was tried again.
    converged : bool
        Whether `gradient` came below the tolerance.
    """

    weight: Tensor
    bias: Tensor
    lam: float
    loss: float
    gradient: float
    iterations: int
    passes: int
    converged: bool


class Problem:
    """Minimise, over W and b, mean cross-entropy + lam / 2 · ||W||² on standardised rows; b is not penalised.

    The curvature in W is about c · R + lam, where R are the correlations of the columns and c the mean of p (1 - p)
    over rows and classes. With V = W (c R + lam)^(1/2) as unknowns it is about the same in all directions, and L-BFGS
    needs several times fewer passes than on W itself where columns are correlated. The minimum is the same.
    """

    def __init__(self, rows: StandardisedRows, moments: Moments, tick: Tick = lambda lam, gradient: None) -> None:
        self.rows, self.moments, self._tick = rows, moments, tick
        frequencies = moments.counts.double() / moments.rows
        self.classes, self.dim = len(frequencies), len(moments.mean)
        device = moments.mean.device
        prior = frequencies.log()
        self.zero = (
            torch.zeros(self.classes, self.dim, dtype=torch.float64, device=device),
            (prior - prior.mean()).to(device),
        )
        self.doubt = float(1 - frequencies.square().sum())

    def fit(
        self, lam: float, start: Fit | None = None, *, doubt: float | None = None, tolerance: float, iterations: int
    ) -> Fit:
        """Return the minimum for one penalty.

        Parameters
        ----------
        lam : float
            Above 0.
        start : Fit, optional
            Begin there and not at zero weights.
        doubt : float, optional
            `Quality.doubt` near the start; by default that at zero weights.
        tolerance : float
            How short the gradient must become, relative to that at the start. From the minimum of another penalty, this
            is about how far the fit may still be from its own, relative to the way between the two.
        iterations : int
            Stop after so many even if it has not.
        """
        curvature = max(self.doubt if doubt is None else doubt, _LEAST_DOUBT * self.doubt) / self.classes
        weight, bias = self.zero if start is None else (start.weight, start.bias)
        return _Run(self, lam, curvature).minimise(weight, bias, tolerance, iterations)

    def rounded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return W and b in the type in which products are formed."""
        return weight.to(self.rows.dtype), bias.to(self.rows.dtype)

    def told(self, lam: float, gradient: float) -> None:
        """Pass on what a pass has found."""
        self._tick(lam, gradient)


class _Run:
    """One penalty: the function of the unknowns V (C, D) and v (C,), flat in one vector."""

    def __init__(self, problem: Problem, lam: float, curvature: float) -> None:
        self.problem, self.lam = problem, lam
        self.scale = (curvature * problem.moments.values + lam).rsqrt()
        self.bias_scale = 1 / math.sqrt(curvature)
        self.passes, self.unit, self.loss, self.gradient = 0, 0.0, math.nan, math.inf

    def outward(self, unknowns: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Return W and b."""
        flat = torch.from_numpy(unknowns).to(self.scale.device)
        classes, dim = self.problem.classes, self.problem.dim
        turned = flat[: classes * dim].view(classes, dim) * self.scale
        return turned @ self.problem.moments.vectors.T, flat[classes * dim :] * self.bias_scale

    def inward(self, weight: Tensor, bias: Tensor) -> NDArray[np.float64]:
        """Return the unknowns of W and b."""
        turned = weight @ self.problem.moments.vectors / self.scale
        return _flat(turned, bias / self.bias_scale)

    def __call__(self, unknowns: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the value and its gradient: one pass over the rows."""
        weight, bias = self.outward(unknowns)
        loss, by_weight, by_bias = cross_entropy(self.problem.rows, *self.problem.rounded(weight, bias))
        by_weight.add_(weight, alpha=self.lam)
        gradient = _flat(by_weight @ self.problem.moments.vectors * self.scale, by_bias * self.bias_scale)
        length = float(np.linalg.norm(gradient))
        if self.passes == 0:
            self.unit = length
        self.passes += 1
        self.loss = loss
        self.gradient = length / self.unit if length > _NOTHING else 0.0
        self.problem.told(self.lam, self.gradient)
        return loss + self.lam / 2 * float(weight.square().sum()), gradient

    def minimise(self, weight: Tensor, bias: Tensor, tolerance: float, iterations: int) -> Fit:
        from scipy.optimize import minimize

        def enough(intermediate_result: Any) -> None:
            # the point that a line search accepts is the one it looked at last
            if self.gradient <= tolerance:
                raise StopIteration

        limits: Any = {"maxiter": iterations, "maxfun": 20 * iterations, "maxcor": _MEMORY, "ftol": 0.0, "gtol": 0.0}
        start = self.inward(weight, bias)
        found = minimize(self, start, jac=True, method="L-BFGS-B", callback=enough, options=limits)
        return Fit(
            *self.outward(found.x),
            lam=self.lam,
            loss=self.loss,
            gradient=self.gradient,
            iterations=int(found.nit),
            passes=self.passes,
            converged=self.gradient <= tolerance,
        )


def _flat(weight: Tensor, bias: Tensor) -> NDArray[np.float64]:
    flat: NDArray[np.float64] = torch.cat([weight.reshape(-1), bias]).cpu().numpy()
    return flat
