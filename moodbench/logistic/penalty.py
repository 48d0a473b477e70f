"""Which penalty: the one whose minimum says held-out rows best."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from moodbench.logistic.objective import assess
from moodbench.logistic.rows import StandardisedRows
from moodbench.logistic.solve import Fit, Problem

PENALTIES = tuple(float(f"{10 ** (-half / 2):.2g}") for half in range(17))
"""1, 0.32, 0.1, …, 1e-8: on standardised columns the first leaves hardly any weight, the last is hardly felt."""


@dataclass(frozen=True)
class Settings:
    """How to fit.

    Attributes
    ----------
    penalties : tuple of float
        From strong to weak.
    tolerance : float
        How short the gradient must become for each penalty, relative to the start (`Problem.fit`).
    iterations : int
        At most so many for each penalty.
    """

    penalties: tuple[float, ...] = PENALTIES
    tolerance: float = 1e-3
    iterations: int = 200

    def record(self) -> dict[str, Any]:
        """Return the settings in JSON types."""
        return {**asdict(self), "penalties": list(self.penalties)}


@dataclass(frozen=True)
class Trial:
    """A penalty that was tried, and what its minimum is worth on held-out rows."""

    lam: float
    nll: float
    accuracy: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Choice:
    """The best fit, and everything that was tried for it."""

    fit: Fit
    tried: tuple[Trial, ...]
    passes: int

    @property
    def at_end(self) -> str | None:
        """``strongest`` or ``weakest`` where no penalty on that side of the chosen one was tried."""
        if len(self.tried) < 2:
            return None
        return {self.tried[0].lam: "strongest", self.tried[-1].lam: "weakest"}.get(self.fit.lam)

    def record(self) -> list[dict[str, Any]]:
        """Return `tried` in JSON types."""
        return [asdict(one) for one in self.tried]


def choose(problem: Problem, held_out: StandardisedRows, settings: Settings) -> Choice:
    """Fit one penalty after another, from strong to weak and each from the minimum before, until it gets worse.

    Parameters
    ----------
    problem : Problem
    held_out : StandardisedRows
        Rows that `problem` does not have, standardised by its moments. They are looked at, never fitted.
    settings : Settings

    Returns
    -------
    Choice
        The fit with the smallest mean negative log-likelihood on the held-out rows.
    """
    best = last = doubt = None
    least = math.inf
    tried: list[Trial] = []
    passes = 0
    for lam in settings.penalties:
        last = problem.fit(lam, last, doubt=doubt, tolerance=settings.tolerance, iterations=settings.iterations)
        passes += last.passes
        found = assess(held_out, *problem.rounded(last.weight, last.bias))
        doubt = found.doubt
        tried.append(Trial(lam, found.nll, found.accuracy, last.iterations, last.converged))
        if found.nll > least:
            break
        if found.nll < least:
            best, least = last, found.nll
    assert best is not None  # there are penalties
    return Choice(best, tuple(tried), passes)
