"""Average ranks: against SciPy, Demsar's table, plain ranks, and how often luck wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f, friedmanchisquare

from moodbench.average_ranks import average_ranks


def test_the_critical_difference_of_demsars_example():
    """Four classifiers on 14 datasets, section 3.2.2 of JMLR 7 (2006)."""
    found = average_ranks(np.random.default_rng(0).normal(size=(14, 4)), higher=True)
    assert found.critical_difference == pytest.approx(1.25, abs=0.006)
    assert found.datasets == 14


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_values_are_those_of_the_published_table(k, q):
    found = average_ranks(np.random.default_rng(0).normal(size=(6, k)), higher=True)
    assert found.critical_difference == pytest.approx(q * np.sqrt(k * (k + 1) / 36), rel=4e-4)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 8), k=st.integers(3, 6), levels=st.integers(2, 30), seed=st.integers(0, 10**6))
def test_ranks_are_counts_and_the_statistic_is_that_of_scipy(n, k, levels, seed):
    values = np.random.default_rng(seed).integers(levels, size=(n, k)) / 7
    for higher in (True, False):
        found = average_ranks(values, higher=higher)
        signed = values if higher else -values
        better = (signed[:, None, :] > signed[:, :, None]).sum(axis=2)
        ties = (signed[:, None, :] == signed[:, :, None]).sum(axis=2) - 1
        np.testing.assert_allclose(found.ranks, (1 + better + ties / 2).mean(axis=0))
        beaten = (signed[:, None, :] < signed[:, :, None]).sum(axis=2)
        np.testing.assert_allclose(found.wins, (beaten + ties / 2).mean(axis=0) / (k - 1))
    if np.ptp(values, axis=1).any():
        chi = friedmanchisquare(*values.T).statistic
        most = n * (k - 1)
        wanted = f.sf((n - 1) * chi / (most - chi), k - 1, (k - 1) * (n - 1)) if chi < most - 1e-9 else 0.0
        assert found.p == pytest.approx(wanted, abs=1e-9)


def test_where_all_tie_nothing_is_found():
    found = average_ranks(np.ones((3, 4)), higher=True)
    assert found.p == 1.0
    np.testing.assert_array_equal(found.ranks, [2.5] * 4)
    assert average_ranks(np.tile(np.arange(4), (2, 1)), higher=True).p == 0.0


def test_entrants_that_are_alike_differ_in_five_of_a_hundred_cases():
    rng = np.random.default_rng(1)
    friedman, nemenyi = 0, 0
    for _ in range(400):
        found = average_ranks(rng.normal(size=(8, 1)) + rng.normal(size=(8, 6)), higher=True)
        friedman += found.p < 0.05
        nemenyi += np.ptp(found.ranks) > found.critical_difference
    assert 0.03 < friedman / 400 < 0.08
    assert nemenyi / 400 < 0.065
