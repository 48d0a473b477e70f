"""A coreset: some rows that leave no other row far from all of them (greedy k-centre)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from moodbench.scores.machinery.products import product

SAME = 1e-12
"""Part of the largest squared length by which squared distances may differ that count as equal."""

TOGETHER = 64
"""The rows that are farthest now, among which the next ones are looked for before all rows are compared again."""


def greedy_coreset(rows: Tensor, size: int) -> Tensor:
    """Choose rows one after the other, each the one that is farthest from those chosen so far.

    The first is the row whose squared distances from all rows add up to most: the one farthest from their mean. Of rows
    that are equally far, as those are after a ReLU that share no entry, the one farthest from the mean is taken. Each
    row that is chosen costs a product of all rows with it, and no more than a few n numbers are kept.

    Parameters
    ----------
    rows : (n, W) float64
    size : int
        How many to choose; fewer are chosen where all others equal one that is.

    Returns
    -------
    (size,) int64
        Their places, in the order in which they were chosen.

    References
    ----------
    Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022, arXiv 2106.08265, algorithm 1, which
    starts as `GreedyCoresetSampler` does in amazon-science/patchcore-inspection, src/patchcore/sampler.py.
    """
    rows = rows - rows.mean(dim=0)
    lengths = rows.square().sum(dim=1)
    least = SAME * float(lengths.max())
    chosen = lengths.argmax()[None]
    nearest = _squares(rows, lengths, chosen).amin(dim=1)
    while len(chosen) < size and float(nearest.max()) > least:
        more = _next(rows, lengths, nearest, size - len(chosen), least)
        torch.minimum(nearest, _squares(rows, lengths, more).amin(dim=1), out=nearest)
        chosen = torch.cat([chosen, more])
    return chosen


def _next(rows: Tensor, lengths: Tensor, nearest: Tensor, most: int, least: float) -> Tensor:
    """Return the next rows to choose, (m,) int64, as many as the farthest ones can tell: at least one, at most `most`.

    A row outside of those comes next only when all of them are as near as the farthest outside.
    """
    farthest = float(nearest.max())
    tied = torch.where(nearest >= farthest - least, lengths, -1.0).argmax()
    values, places = nearest.topk(min(TOGETHER + 1, len(rows)))
    outside = float(values[-1]) if len(rows) > TOGETHER else -math.inf
    places, values = places[:TOGETHER], values[:TOGETHER]
    own = lengths.index_select(0, places)
    ways = _squares(rows.index_select(0, places), own, torch.arange(len(places), device=rows.device))
    picked: list[Tensor] = []
    while len(picked) < most:
        top = float(values.max())
        if top <= max(least, outside + least):
            break
        best = torch.where(values >= top - least, own, -1.0).argmax()
        picked.append(places[best])
        values = torch.minimum(values, ways[best])
    return torch.stack(picked or [tied])


def _squares(rows: Tensor, lengths: Tensor, some: Tensor) -> Tensor:
    """Return the squared distances of rows (n, W), whose squared lengths are given, from some of them, (n, m)."""
    products = product(rows, rows.index_select(0, some).T)
    return products.mul_(-2).add_(lengths[:, None]).add_(lengths.index_select(0, some))


def projected(rows: Tensor, width: int, seed: int) -> Tensor:
    """Return rows (n, W) float64 along `width` random directions, (n, width): distances stay about what they are.

    Rows that are not wider come back as they are. Directions are normal, from torch's CPU generator.
    """
    if rows.shape[1] <= width:
        return rows
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(width, rows.shape[1], generator=generator, dtype=torch.float64)
    return rows @ directions.to(rows.device).T
