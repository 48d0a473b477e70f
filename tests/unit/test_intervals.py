"""Intervals of an AUROC against plain inversion, known special cases, and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from moodbench.intervals import Z95, Sample, interval
from moodbench.ranking import Ranking, mean_auroc

samples = st.lists(
    st.builds(
        lambda rows, share, weight: Sample(rows, share * rows / 4, weight),
        st.integers(1, 5000),
        st.floats(0, 1),
        st.sampled_from([1.0, 0.25]),
    ),
    min_size=1,
    max_size=5,
)


@given(st.floats(1e-6, 1 - 1e-6) | st.sampled_from([0.0, 1.0]), samples)
def test_limits_are_where_the_estimate_is_two_standard_errors_away(value, parts):
    found = interval(value, parts)
    assert 0 <= found.low <= value <= found.high <= 1
    coin = value * (1 - value)
    ratios = [(part.squares + 0.5) / ((part.rows - 1) * coin + 0.5) for part in parts]
    share = sum(p.weight**2 / p.rows * ratio for p, ratio in zip(parts, ratios, strict=True))

    def distance(a):
        return (a - value) ** 2 - Z95**2 * a * (1 - a) * share

    if 0 < value < 1:
        assert found.low == pytest.approx(brentq(distance, 0, value), abs=1e-9)
        assert found.high == pytest.approx(brentq(distance, value, 1), abs=1e-9)


@pytest.mark.parametrize("lost", [0, 1, 7, 50])
def test_one_sample_of_coins_is_wilsons_interval(lost):
    """Every OOD row lies below all ID rows or above them: its share of won pairs is 1 or 0."""
    rows = 100
    found = Ranking(np.linspace(0, 1, 10**6)).against(np.r_[np.full(rows - lost, -1.0), np.full(lost, 2.0)])
    wilson = binomtest(rows - lost, rows).proportion_ci(method="wilson")
    limits = found.auroc_interval()
    assert (limits.low, limits.high) == pytest.approx((wilson.low, wilson.high), abs=2e-3)


def test_many_rows_with_errors_give_delongs_interval():
    rng = np.random.default_rng(0)
    found = Ranking(rng.normal(1, 1, 20_000)).against(rng.normal(0, 1, 20_000))
    error = np.sqrt(found.id_components.var() / 20_000 + found.ood_components.var() / 20_000)
    limits = found.auroc_interval()
    assert (limits.high - limits.low) / 2 == pytest.approx(1.96 * error, rel=0.01)


def coverage(draw_id, draw_ood, truth, *, sets=1, repeats=2000):
    rng, held = np.random.default_rng(0), 0
    for _ in range(repeats):
        ranked = Ranking(draw_id(rng))
        limits = mean_auroc([ranked.against(draw_ood(rng)) for _ in range(sets)])
        held += limits.low <= truth <= limits.high
    return held / repeats


FOUR_ERRORS = 4 * np.sqrt(0.95 * 0.05 / 2000)
"""Four standard errors of a simulated coverage of 95 %."""


@pytest.mark.parametrize(("n_id", "n_ood"), [(50, 50), (2000, 100), (2000, 1), (2000, 2)])
def test_two_levels_near_one_are_covered(n_id, n_ood):
    """1 % of the rows of either side lie on the wrong one of two levels: DeLong holds 64 % at (2000, 100)."""
    held = coverage(lambda rng: rng.random(n_id) > 0.01, lambda rng: rng.random(n_ood) < 0.01, 0.99)
    assert held >= 0.95 - FOUR_ERRORS


def test_the_mean_of_four_small_sets_near_one_is_covered():
    shift = np.sqrt(2) * norm.ppf(0.99)
    held = coverage(lambda rng: rng.normal(shift, 1, 50), lambda rng: rng.normal(0, 1, 50), 0.99, sets=4)
    assert held >= 0.95 - FOUR_ERRORS


def test_no_interval_is_empty():
    tied = Ranking(np.ones(100)).against(np.ones(100)).auroc_interval()
    assert tied.low < 0.5 < tied.high
    perfect = Ranking(np.arange(50) + 100.0).against(np.arange(20.0)).auroc_interval()
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert 0.7 < perfect.low < 0.05 ** (1 / 20)
    one = Ranking([1.0, 2.0]).against([0.0]).auroc_interval()
    assert one.low < 0.5
