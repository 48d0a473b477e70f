"""Mean features of ID train by predicted class: of all rows predicted so, or of those predicted correctly."""

from __future__ import annotations

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.statistics import GroupedSums, GroupSums


class FeatureSumsByPrediction(GroupedSums):
    """Counts and feature sums by predicted class."""

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        return block.predicted, block.features


class FeatureSumsWhenCorrect(GroupedSums):
    """Counts and feature sums by class of the rows whose predicted class is their label."""

    def rows(self, block: Block) -> tuple[Tensor, Tensor]:
        return correct_class(block), block.features


def correct_class(block: Block) -> Tensor:
    """Return the predicted class of each row, (B,) int64, or -1 where it is not the label."""
    return torch.where(block.predicted == block.labels, block.predicted, -1)


def head_classes(train: Train) -> int:
    """Return C, for scores that compare predictions with labels.

    Raises
    ------
    ScoreError
        Labels number other classes than the head does.
    """
    if train.classes is None or not train.own_classes:
        raise ScoreError("labels are not the head's classes")
    return train.classes


def filled_means(classes: GroupSums, overall: Tensor) -> tuple[Tensor, str | None]:
    """Return class means, (C, D) float32, with `overall` (D,) in place of those of empty classes, and a note on it."""
    empty = classes.counts == 0
    means = torch.where(empty[:, None], overall, classes.means).float()
    return means, f"{int(empty.sum())} of {len(empty)} classes take the mean of ID train" if bool(empty.any()) else None
