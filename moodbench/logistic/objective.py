"""The mean cross-entropy of a linear classifier, its gradient, and how good a classifier is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.logistic.rows import Batches

LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class Quality:
    """How good a classifier is on some rows.

    Attributes
    ----------
    rows : int
    nll : float
        Mean negative log-likelihood of the labels, in nats.
    accuracy : float
        Fraction of the rows whose largest logit is that of their label.
    doubt : float
        Mean of 1 - sum_k p_k²: 0 where all is certain.
    """

    rows: int
    nll: float
    accuracy: float
    doubt: float


def cross_entropy(batches: Batches, weight: Tensor, bias: Tensor) -> tuple[float, Tensor, Tensor]:
    """Return the mean of -log softmax(x W^T + b)[label] over all rows, and its gradient.

    Matrix products are formed batch by batch in the type of the weights; sums over batches in float64.

    Parameters
    ----------
    batches : callable
        Features have the type of the weights.
    weight : (C, D) float32 or float64
    bias : (C,), the same

    Returns
    -------
    loss : float
    weight_gradient, bias_gradient : (C, D) and (C,) float64
    """
    loss = torch.zeros((), dtype=torch.float64, device=weight.device)
    by_weight, by_bias = torch.zeros_like(weight, dtype=torch.float64), torch.zeros_like(bias, dtype=torch.float64)
    rows = 0
    for features, labels in batches():
        batch, pull = _pull(torch.addmm(bias, features, weight.T), labels[:, None])
        loss += batch
        by_weight += pull.T @ features
        by_bias += pull.sum(dim=0, dtype=torch.float64)
        rows += len(labels)
    return float(loss) / rows, by_weight.div_(rows), by_bias.div_(rows)


def _pull(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the rows' losses and softmax minus one-hot (B, C), overwriting `logits`.

    The label's own class is left out of the sums, so that losses near 0 keep their digits.
    """
    own, powers = _powers(logits, labels)
    chosen = powers.gather(1, labels)
    rest = powers.scatter_(1, labels, 0).sum(dim=1, keepdim=True)
    total = rest + chosen
    loss = torch.where(chosen > 0.5, torch.log1p(rest / chosen), torch.log(total) - own)
    pull = powers.div_(total).scatter_(1, labels, -rest / total)
    return loss.sum(dtype=torch.float64), pull


def _powers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the label's logit (B, 1) and exp of all (B, C), both shifted by the largest; overwrites `logits`."""
    shifted = logits.sub_(logits.amax(dim=1, keepdim=True))
    own = shifted.gather(1, labels)
    # a power of two: on a CPU exp takes far longer where its results are too small for a normal float32
    return own, shifted.mul_(LOG2_E).exp2_()


def assess(batches: Batches, weight: Tensor, bias: Tensor) -> Quality:
    """Return how good the classifier with `weight` (C, D) and `bias` (C,) is on the rows."""
    nll, correct, doubt, rows = 0.0, 0, 0.0, 0
    for features, labels in batches():
        logits = torch.addmm(bias, features, weight.T)
        correct += int((logits.argmax(dim=1) == labels).sum())
        own, powers = _powers(logits, labels[:, None])
        total = powers.sum(dim=1, keepdim=True)
        nll += float((torch.log(total) - own).sum(dtype=torch.float64))
        squares = powers.div_(total).square_().sum(dim=1)
        doubt += float((1 - squares).sum(dtype=torch.float64))
        rows += len(labels)
    return Quality(rows, nll / rows, correct / rows, doubt / rows)
