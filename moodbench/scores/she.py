"""SHE and HE: the Hopfield energy of a row against stored patterns of its predicted class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import TOGETHER, Guest, Meeting, Visit, bank_of
from moodbench.scores.machinery.class_means import FeatureSumsWhenCorrect, correct_class, filled_means, head_classes
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums


@SCORES.register("she")
@dataclass
class SHE(Score):
    """``x · m_c`` with c the predicted class and m_c the mean of the ID train rows of class c that are predicted as c.

    Attributes
    ----------
    patterns_ : (C, D) float32
        m_k of every class.

    Notes
    -----
    An inner product of raw features: a row's length counts as much as its direction. A class without a correctly
    predicted row takes the mean of all its rows, and one without rows the mean of ID train.

    References
    ----------
    Zhang et al., Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern Hopfield
    Energy, ICLR 2023. Reference code: zjs975584714/SHE_ood_detection, Utils/score_calculation.py, without its perturbed
    inputs, and Jingkang50/OpenOOD, openood/postprocessors/she_postprocessor.py, where a class without correctly
    predicted rows makes the score not a number.
    """

    title = "SHE"
    family = "feature+logit"
    needs = frozenset({"logits", "labels"})
    paper = "Zhang et al., ICLR 2023"
    year = 2023

    def fit(self, train: Train) -> Fit:
        classes = head_classes(train)
        correct: GroupSums
        labelled: GroupSums
        correct, labelled = yield FeatureSumsWhenCorrect(classes), FeatureSumsByLabel(classes)
        unseen = correct.counts == 0
        counts = torch.where(unseen, labelled.counts, correct.counts)
        sums = torch.where(unseen[:, None], labelled.sums, correct.sums)
        self.patterns_, self.note_ = filled_means(GroupSums(counts, sums), labelled.sums.sum(dim=0) / train.rows)

    def score(self, block: Block) -> Tensor:
        overlap: Tensor = torch.linalg.vecdot(block.features, self.patterns_.index_select(0, block.predicted))
        return overlap


@SCORES.register("hopfield")
@dataclass
class HE(Score):
    """``log sum_i exp(beta x · x_i)`` over the ID train rows x_i of the predicted class that are predicted correctly.

    Parameters
    ----------
    beta : float, default=0.01
        The inverse temperature.

    Attributes
    ----------
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    Notes
    -----
    A row whose predicted class has no correctly predicted ID train row is
    nothing stored, and scores -inf.

    References
    ----------
    Zhang et al., Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern Hopfield
    Energy, ICLR 2023, where `she` is the simplification of this score to one pattern a class. Stored patterns as in
    zjs975584714/SHE_ood_detection, generate_stored_pattern.py.
    """

    title = "HE"
    family = "feature+logit"
    needs = frozenset({"logits", "labels"})
    paper = "Zhang et al., ICLR 2023"
    year = 2023
    cost = "memory bank"

    beta: float = 0.01

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise UsageError(f"beta of 'hopfield' must be positive, got {self.beta}")

    def fit(self, train: Train) -> Fit:
        classes = head_classes(train)
        correct: GroupSums = yield FeatureSumsWhenCorrect(classes)
        empty = int((correct.counts == 0).sum())
        if empty == classes:
            raise ScoreError("no ID train row is predicted correctly")
        if empty:
            self.note_ = f"{empty} of {classes} classes have no stored patterns: their rows score -inf"
        self.bank_ = bank_of(train)
        self._place = self.bank_.join(lambda block: _Energy(self.beta, block))

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(self._place, block)


class _Energy(Guest):
    """log of the sum of exp(beta x · x_i) over the rows of the bank that are of the predicted class, and rightly so.

    Only those pairs are multiplied: one by one where they are few, else class by class; in float64, so that the rows
    beside a row, which decide how a product is computed, do not change its score.
    """

    FEW = 1 / 256

    def __init__(self, beta: float, block: Block) -> None:
        self._beta = beta
        self._energy = torch.full_like(block.predicted, -torch.inf, dtype=torch.float64)

    def facing(self, stored: Block) -> Visit:
        return partial(self._meet, *correct_class(stored).sort(stable=True))

    def _meet(self, classes: Tensor, order: Tensor, meeting: Meeting) -> None:
        predicted = meeting.block.predicted[meeting.rows]
        first = torch.searchsorted(classes, predicted)
        count = torch.searchsorted(classes, predicted, right=True) - first
        x, stored = meeting.block.features[meeting.rows], meeting.stored.features
        energy = self._energy[meeting.rows]
        if int(count.sum()) <= self.FEW * len(x) * len(stored):
            row = torch.repeat_interleave(count)
            column = torch.arange(len(row), device=row.device) + (first - (count.cumsum(0) - count))[row]
            pairs = zip(torch.split(row, TOGETHER), torch.split(order[column], TOGETHER), strict=True)
            parts = [_dots(x.index_select(0, a), stored.index_select(0, b)) for a, b in pairs]
            if len(row):
                torch.logaddexp(energy, _log_sum_exp(self._beta * torch.cat(parts), row, len(x)), out=energy)
            return
        for c in torch.unique(predicted[count > 0]).tolist():
            rows = (predicted == c).nonzero()[:, 0]
            begin, end = int(first[rows[0]]), int(first[rows[0]] + count[rows[0]])
            overlaps = (x[rows].double() @ stored[order[begin:end]].double().T).mul_(self._beta)
            energy[rows] = torch.logaddexp(energy[rows], overlaps.logsumexp(dim=1))

    def leave(self) -> Tensor:
        return self._energy


def _dots(a: Tensor, b: Tensor) -> Tensor:
    dots: Tensor = torch.linalg.vecdot(a.double(), b.double())
    return dots


def _log_sum_exp(values: Tensor, row: Tensor, rows: int) -> Tensor:
    """Return the log of the sum of exp(values) (n,) for each row, (rows,); -inf where there is none."""
    top = values.new_full((rows,), -torch.inf).scatter_reduce_(0, row, values, "amax")
    total = values.new_zeros(rows).index_add_(0, row, (values - top[row]).exp_())
    return top + total.log()
