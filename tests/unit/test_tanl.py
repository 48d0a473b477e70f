"""The threshold of TANL, and what its parameters refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UsageError
from moodbench.scores.base import create_score
from moodbench.scores.tanl import best_threshold


def within(scores, t):
    parts = [scores[scores < t], scores[scores >= t]]
    return sum(len(part) * np.var(part) for part in parts) if all(map(len, parts)) else np.inf


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_no_threshold_is_better(values):
    scores = np.array(values)
    found = best_threshold(torch.from_numpy(scores))
    assert found in [k / 100 for k in range(100)]
    assert within(scores, found) <= min(within(scores, k / 100) for k in range(100)) + 1e-9


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.1, 0.1, 0.9], 0.51), ([0.2, 0.4], 0.31), ([0.7, 0.7], 0.5), ([1.0], 0.5), ([0.0, 1.0], 0.5)],
)
def test_of_equally_good_ones_that_in_the_middle(values, expected):
    assert best_threshold(torch.tensor(values, dtype=torch.float64)) == expected


@pytest.mark.parametrize(
    "params", [{"temperature": 0.0}, {"labels": 0}, {"step": -1}, {"gap": 1.5}, {"history": -0.1}, {"queue": 0}]
)
def test_parameters_that_make_no_sense(params):
    with pytest.raises(UsageError, match="'tanl' needs"):
        create_score("tanl", params)
