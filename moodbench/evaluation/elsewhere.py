"""What other processes answer an engine that asks them for the scores of test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodbench.evaluation.pieces import Array

Predicted = tuple[NDArray[np.int64], Array]
"""Predicted classes, (N,), and the softmax probability of each, (N,)."""

Span = tuple[str, slice]
"""A dataset, and rows of it."""


@dataclass(frozen=True)
class Answer:
    """What another process found out about some test rows.

    Attributes
    ----------
    rows : sequence of (str, slice)
        Which rows: of each dataset, one after the other.
    found : mapping of score to (N,) float64
        The numbers of all these rows.
    failures : mapping of score to str
        What the results say of those that failed.
    predicted : sequence of Predicted or None
        For each of `rows`, where somebody asks.
    """

    rows: list[Span]
    found: Mapping[str, Array]
    failures: Mapping[str, str]
    predicted: list[Predicted | None]
