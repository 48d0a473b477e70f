"""Conformal p-values, false discoveries among them, and the share of OOD: definitions, and simulations of chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from moodbench.detection.conformal import discoveries, p_values
from moodbench.detection.share import at_least, at_most, most_id, share_out

NUMBERS = st.lists(st.integers(-5, 5).map(float) | st.just(float("-inf")), min_size=1, max_size=30)


@given(NUMBERS, NUMBERS)
def test_p_values_are_those_of_the_definition(calibration, values):
    plain = [(1 + sum(c <= value for c in calibration)) / (len(calibration) + 1) for value in values]
    np.testing.assert_array_equal(p_values(np.array(calibration), np.array(values)), plain)


@given(st.lists(st.integers(1, 40).map(lambda k: k / 40), max_size=30), st.sampled_from([0.01, 0.1, 0.5, 0.9]))
def test_discoveries_are_those_of_benjamini_and_hochberg(p, fdr):
    ordered = sorted(p)
    k = max((i for i in range(1, len(p) + 1) if ordered[i - 1] <= fdr * i / len(p)), default=0)
    plain = [value <= ordered[k - 1] if k else False for value in p]
    assert discoveries(np.array(p), fdr).tolist() == plain


def test_an_id_image_is_called_out_as_often_as_was_asked_for():
    rng = np.random.default_rng(0)
    called = [(p_values(rng.normal(size=50), rng.normal(size=20)) <= 0.1).mean() for _ in range(2000)]
    assert 0.08 < np.mean(called) <= 0.1 + 0.005


def test_false_discoveries_stay_below_the_rate_that_was_asked_for():
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(1000):
        values = np.concatenate([rng.normal(size=60), rng.normal(-4, size=40)])
        found = discoveries(p_values(rng.normal(size=400), values), 0.2)
        wrong.append(found[:60].sum() / max(found.sum(), 1))
    assert 0.05 < np.mean(wrong) <= 0.2 * 0.6 + 0.02  # the procedure holds it at fdr times the share of ID images
    assert not discoveries(np.array([0.2, 0.9]), 0.1).any()
    assert discoveries(np.empty(0), 0.1).shape == (0,)


@pytest.mark.parametrize(("count", "s", "t"), [(1, 1, 1), (7, 3, 2), (40, 182, 181)])
def test_the_distribution_of_how_many_reach_a_score(count, s, t):
    law = betabinom(count, s, t)
    for reach in range(count + 1):
        assert at_most(reach, count, s, t) == pytest.approx(law.cdf(reach), abs=1e-12)
        assert at_least(reach, count, s, t) == pytest.approx(law.sf(reach - 1), abs=1e-12)


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize(("m", "bad"), [(6, 0), (6, 3), (40, 0), (40, 20), (40, 38), (200, 100), (200, 200)])
def test_the_interval_of_the_share_covers_it(n, m, bad):
    rng = np.random.default_rng([n, m, bad])
    covered, estimates, runs = 0, [], 400
    for _ in range(runs):
        values = np.concatenate([rng.normal(size=m - bad), rng.normal(-9, size=bad)])
        share = share_out(rng.normal(size=n), values)
        assert share.low <= share.out <= share.high
        covered += share.low <= bad / m <= share.high
        estimates.append(share.out)
    assert covered / runs >= 0.95 - 2.5 * (0.95 * 0.05 / runs) ** 0.5
    if n == 300 and 0 < bad < m and m >= 40:
        assert np.mean(estimates) == pytest.approx(bad / m, abs=0.03)


def test_a_share_of_images_that_score_like_id_is_never_claimed():
    """OOD images that the score does not tell from ID count as ID: the lower limit holds all the same."""
    rng = np.random.default_rng(0)
    low = [
        share_out(rng.normal(size=300), np.concatenate([rng.normal(size=30), rng.normal(-0.5, size=30)])).low
        for _ in range(300)
    ]
    assert np.mean(np.array(low) <= 0.5) >= 0.975


def plain_most_id(p, error):
    ordered = sorted(p)
    sizes = range(1, len(p) + 1)
    kept = [i for i in sizes if all(i * ordered[len(p) - i + j - 1] > j * error for j in range(1, i + 1))]
    return max(kept, default=0)


@given(
    st.lists(st.sampled_from([0.001, 0.002, 0.004, 0.01, 0.02, 0.3, 0.6, 1]), max_size=14),
    st.sampled_from([0.0125, 0.05]),
)
def test_closed_testing_by_its_definition(p, error):
    assert most_id(np.array(p), error) == plain_most_id(p, error)


def test_few_images_far_below_all_id_are_known_to_be_out():
    rng = np.random.default_rng(0)
    low = []
    for _ in range(200):
        share = share_out(rng.normal(size=400), np.concatenate([rng.normal(size=5), rng.normal(-9, size=5)]))
        low.append(share.low)
    assert np.mean(low) > 0.35
    assert np.mean(np.array(low) <= 0.5) >= 0.975


def test_the_estimate_is_rounded_once():
    share = share_out(np.arange(99.0), np.concatenate([np.full(3, -1.0), np.full(7, 99.0)]))
    assert (share.low, share.out, share.high) == (0.0, 0.0, 0.2)
    share = share_out(np.arange(99.0), np.concatenate([np.full(13, -1.0), np.full(7, 99.0)]))
    assert share.out == 0.3


def test_many_id_images_with_the_same_score_do_not_count_as_out():
    rng = np.random.default_rng(0)

    def saturated(count):  # as a softmax of 1
        return np.minimum(rng.normal(size=count), -0.5)

    shares = [share_out(saturated(200), saturated(60)) for _ in range(300)]
    assert np.mean([share.low == 0 for share in shares]) >= 0.95
    assert np.mean([share.out for share in shares]) < 0.1


def test_without_images_or_id_test_images_there_is_no_estimate():
    assert share_out(np.zeros(5), np.empty(0)).out is None
    assert share_out(np.empty(0), np.zeros(3)).out is None
    one = share_out(np.zeros(1), np.zeros(3))
    assert (one.images, one.low, one.high is not None) == (3, 0.0, True)
