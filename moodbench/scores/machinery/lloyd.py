"""k-means: a start by k-means++ and Lloyd's algorithm, by matrix products in float32 with sums in float64.

Rules and random choices are those of scikit-learn, whose own start takes twenty times as long for a thousand centres.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.vectorised import row_argmax

MOST_STEPS = 300
STILL = 1e-4
"""The centres stand still where their squared way of a step, summed, is below this part of the rows' mean variance."""


def plus_plus(rows: Tensor, centres: int, seed: int) -> Tensor:
    """Return rows to begin with, (centres, D), each chosen among some by how much it lessens the squared distances.

    `rows`, (N, D) float32, are about their mean, and at least as many as `centres`.
    """
    random = np.random.RandomState(seed)  # the generator of scikit-learn
    lengths = rows.square().sum(dim=1)

    def squares(chosen: Tensor) -> Tensor:
        """Squared distances of all rows from some, (N, n)."""
        ways = torch.addmm(lengths[:, None], rows, rows.index_select(0, chosen).T, alpha=-2)
        return ways.add_(lengths.index_select(0, chosen)).clamp_min_(0.0)

    first = int(random.choice(len(rows), p=np.full(len(rows), 1 / len(rows))))
    chosen = [first]
    nearest = squares(torch.tensor([first], device=rows.device))[:, 0]
    tries = 2 + int(math.log(centres))
    for _ in range(1, centres):
        sums = nearest.double().cumsum(0)
        marks = torch.from_numpy(random.uniform(size=tries)).to(sums) * sums[-1]
        candidates = torch.searchsorted(sums, marks).clamp_max_(len(rows) - 1)
        ways = torch.minimum(squares(candidates), nearest[:, None])
        best = int(ways.sum(dim=0, dtype=torch.float64).argmin())
        nearest = ways[:, best].contiguous()
        chosen.append(int(candidates[best]))
    return rows[chosen]


def lloyd(rows: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """Move centres to the mean of the rows nearest to them until nothing changes.

    A centre that has no row goes to the row that is farthest from its own.

    Parameters
    ----------
    rows : (N, D) float32
        About their mean, or else little is left of their distances.
    centres : (K, D)
        Where to begin.

    Returns
    -------
    centres : (K, D) float64
    inertia : float
        Sum of the rows' squared distances from their nearest centres.
    """
    exact = rows.double()
    enough = STILL * float(exact.var(dim=0, correction=0).mean())
    centres = centres.double()
    nearest = torch.full((len(rows),), -1, device=rows.device)
    for _ in range(MOST_STEPS):
        before, nearest = nearest, _nearest(rows, centres)
        moved = _means(exact, nearest, centres)
        way = float((moved - centres).square().sum())
        centres = moved
        if torch.equal(nearest, before):
            break
        if way <= enough:
            nearest = _nearest(rows, centres)
            break
    return centres, float((exact - centres.index_select(0, nearest)).square().sum())


def _nearest(rows: Tensor, centres: Tensor) -> Tensor:
    halves = centres.square().sum(dim=1).float() / -2
    return row_argmax(product(rows, centres.float().T, halves))


def _means(rows: Tensor, nearest: Tensor, centres: Tensor) -> Tensor:
    """Return the means of the rows of each centre, (K, D)."""
    count = torch.bincount(nearest, minlength=len(centres))
    empty = (count == 0).nonzero()[:, 0]
    if len(empty):
        nearest = nearest.clone()
        ways = (rows - centres.index_select(0, nearest)).square().sum(dim=1)
        nearest[ways.topk(len(empty)).indices] = empty
        count = torch.bincount(nearest, minlength=len(centres))
    sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
    means = sums / count.clamp_min(1)[:, None]
    return torch.where(count[:, None] > 0, means, centres)
