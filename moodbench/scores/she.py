"""SHE and HE: the Hopfield energy of a row against stored patterns of its predicted class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
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
    train_ : Train
        Whose bank is walked over.

    Notes
    -----
    Every row is compared with the whole bank. A row whose predicted class has no correctly predicted ID train row is
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
        self.train_ = train

    def score(self, block: Block) -> Tensor:
        energy = torch.full((len(block),), -torch.inf, dtype=torch.float64, device=block.features.device)
        for stored in self.train_.bank():
            overlaps = (block.features @ stored.features.T).mul_(self.beta)
            other = block.predicted[:, None] != correct_class(stored)[None, :]
            energy = torch.logaddexp(energy, overlaps.masked_fill_(other, -torch.inf).logsumexp(dim=1).double())
        return energy
