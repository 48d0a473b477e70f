"""Logistic regression of few numbers a row, with an L2 penalty: small enough for Newton's method in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MOST_STEPS = 100
"""Of Newton's method, which needs about ten."""

CLOSE = 1e-10
"""A step that changes no weight by more ends it."""


@dataclass(frozen=True)
class Logistic:
    """``log p / (1 - p) = w . (x - m) / s + b``, float64.

    Attributes
    ----------
    weights : (L,)
        w, of numbers that are divided by their standard deviation.
    intercept : float
        b.
    centre, scale : (L,)
        m and s: mean and standard deviation of the rows that it was fitted to; s is 1 where these are all the same.
    """

    weights: Tensor
    intercept: float
    centre: Tensor
    scale: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the logarithms of the odds of rows (B, L), (B,)."""
        return ((rows.double() - self.centre) / self.scale) @ self.weights + self.intercept


def fit_logistic(positive: Tensor, negative: Tensor) -> Logistic:
    """Return the regression that tells rows (n, L) from others (m, L).

    It is the only minimum of ``sum log(1 + exp(-y (w . z + b))) + ||w||^2 / 2``: the loss of scikit-learn's
    ``LogisticRegression`` with C = 1, of numbers z with mean 0 and standard deviation 1. Without the penalty there
    would be none where the two can be told apart without a mistake.
    """
    rows = torch.cat([positive, negative]).double()
    centre, scale = rows.mean(dim=0), rows.std(dim=0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    x = torch.cat([(rows - centre) / scale, torch.ones_like(rows[:, :1])], dim=1)
    wanted = torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))]).to(x)
    penalty = torch.ones(x.shape[1]).to(x)
    penalty[-1] = 0.0
    weights = torch.zeros(x.shape[1]).to(x)
    loss = _loss(x, wanted, weights, penalty)
    for _ in range(MOST_STEPS):
        p = torch.sigmoid(x @ weights)
        slope = x.T @ (p - wanted) + penalty * weights
        curve = (x.T * (p * (1 - p))) @ x + torch.diag(penalty)
        step = torch.linalg.solve(curve + 1e-12 * torch.eye(len(curve)).to(x), slope)
        part = 1.0
        while part > CLOSE and not _loss(x, wanted, weights - part * step, penalty) <= loss:
            part /= 2  # the loss is convex: some part of the step lowers it
        if part <= CLOSE:
            break
        weights = weights - part * step
        loss = _loss(x, wanted, weights, penalty)
        if float((part * step).abs().max()) < CLOSE:
            break
    return Logistic(weights[:-1], float(weights[-1]), centre, scale)


def _loss(x: Tensor, wanted: Tensor, weights: Tensor, penalty: Tensor) -> float:
    logits = x @ weights
    return float(torch.nn.functional.softplus((1 - 2 * wanted) * logits).sum() + (penalty * weights**2).sum() / 2)
