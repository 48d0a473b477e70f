"""Metrics against scikit-learn, brute force, and the cases people get wrong."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc, average_precision_score, balanced_accuracy_score, roc_auc_score, roc_curve

from moodbench.metrics import METRICS
from moodbench.ranking import Ranking, mean_auroc

scores = st.integers(2, 40).flatmap(
    lambda n: arrays(np.float64, n, elements=st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 1e6]) | st.floats(-5, 5))
)

labelled = scores.flatmap(lambda a: st.tuples(st.just(a), arrays(np.bool_, len(a))))


def truth(a, b):
    return np.r_[np.ones(len(a)), np.zeros(len(b))], np.r_[a, b]


@settings(deadline=None)
@given(scores, scores)
def test_auroc_and_average_precision_equal_scikit_learn(a, b):
    c = Ranking(a).against(b)
    y, s = truth(a, b)
    assert c.auroc == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert c.aupr_in == pytest.approx(average_precision_score(y, s), abs=1e-12)
    assert c.aupr_out == pytest.approx(average_precision_score(1 - y, -s), abs=1e-12)


@settings(deadline=None)
@given(scores, scores)
def test_metrics_depend_on_ranks_alone(a, b):
    stretched = Ranking(np.arctan(a) * 3 + a**3).against(np.arctan(b) * 3 + b**3)
    if len(np.unique(np.r_[a, b])) == len(np.unique(np.arctan(np.r_[a, b]) * 3 + np.r_[a, b] ** 3)):
        c = Ranking(a).against(b)
        assert (stretched.auroc, stretched.fpr(), stretched.aupr_out) == (c.auroc, c.fpr(), c.aupr_out)


@settings(deadline=None)
@given(scores, scores)
def test_components_are_shares_of_won_pairs(a, b):
    c = Ranking(a).against(b)
    wins = (np.sort(a)[:, None] > np.sort(b)[None]) + 0.5 * (np.sort(a)[:, None] == np.sort(b)[None])
    np.testing.assert_allclose(c.id_components, wins.mean(1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(c.ood_components, wins.mean(0), rtol=0, atol=1e-12)


def test_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    from scipy.stats import norm

    true = norm.cdf(1 / np.sqrt(2))
    hits = 0
    for _ in range(400):
        i = Ranking(rng.normal(1, 1, 60)).against(rng.normal(0, 1, 80)).auroc_interval()
        hits += i.low <= true <= i.high
    assert 0.92 <= hits / 400 <= 0.98


def test_mean_interval_counts_the_shared_id_rows():
    """Means over several OOD sets against the spread of many simulated means."""
    rng = np.random.default_rng(1)
    means, widths = [], []
    for _ in range(400):
        ranked = Ranking(rng.normal(1, 1, 50))
        m = mean_auroc([ranked.against(rng.normal(0, 1, 300)) for _ in range(4)])
        means.append(m.value)
        widths.append(m.high - m.low)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(means), rel=0.1)


def test_mean_refuses_comparisons_with_other_id_rows():
    with pytest.raises(ValueError, match="share one Ranking"):
        mean_auroc([Ranking([1, 2]).against([0]), Ranking([1, 2]).against([0])])


@pytest.mark.parametrize("n", [10, 19, 20, 21, 100, 101, 1000])
def test_fpr95_is_the_reference_definition(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(1, 1, n), rng.normal(0, 1, 57)
    threshold = np.sort(a)[-int(np.floor(0.95 * n))]
    assert Ranking(a).against(b).fpr() == (b >= threshold).mean()


def test_fpr95_counts_ties_as_accepted():
    assert Ranking(np.zeros(20)).against(np.zeros(5)).fpr() == 1.0


def test_fpr95_has_id_as_the_positive_class():
    a, b = np.r_[np.zeros(6), np.full(94, 10.0)], np.r_[np.full(90, -1.0), np.full(10, 5.0)]
    assert Ranking(a).against(b).fpr() == 0.10  # the 95th largest ID score is 0; ten OOD rows lie above
    assert Ranking(-b).against(-a).fpr() == 0.06  # the other convention, which has OOD as positive
    assert Ranking(np.sort(a)[5:]).against(b).fpr() == 0.0  # one ID row fewer at 0 moves the threshold to 10


def test_controls():
    constant = Ranking(np.ones(40)).against(np.ones(30))
    assert (constant.auroc, constant.fpr()) == (0.5, 1.0)
    rng = np.random.default_rng(0)
    random = Ranking(rng.random(500)).against(rng.random(500)).auroc_interval()
    assert random.low < 0.5 < random.high


def test_large_values_are_not_squashed():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 500), rng.normal(-2, 1, 500)
    assert Ranking(a + 500).against(b + 500).auroc == pytest.approx(Ranking(a).against(b).auroc)


def test_infinities_are_extremes():
    assert Ranking([0.0, np.inf]).against([-np.inf, -1.0]).auroc == 1.0


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0], []), ([np.nan, 1.0], [1.0]), ([1.0], [np.nan])])
def test_nothing_and_nan_are_refused(a, b):
    with pytest.raises(ValueError, match="scores"):
        Ranking(a).against(b)


def test_one_id_row_has_no_fpr95():
    with pytest.raises(ValueError, match="needs more than 1"):
        Ranking([1.0]).against([0.0]).fpr()


# The other convention of FPR95


@settings(deadline=None)
@given(scores, scores)
def test_fpr95_ood_is_the_mirror_of_fpr95(a, b):
    assert Ranking(a).against(b).fpr_ood() == Ranking(-b).against(-a).fpr()


@settings(deadline=None)
@given(scores, scores)
def test_fpr95_ood_by_counting(a, b):
    threshold = sorted(b)[int(0.95 * len(b)) - 1]  # at most 95 % of OOD are below, detected at or below
    assert Ranking(a).against(b).fpr_ood() == sum(x <= threshold for x in a) / len(a)


@pytest.mark.parametrize("m", [20, 40, 100, 1000])
def test_fpr95_ood_is_what_openood_reports_where_20_divides_m(m):
    rng = np.random.default_rng(m)
    a, b = rng.normal(1, 1, 83), rng.normal(0, 1, m)
    y, s = truth(a, b)
    fpr, tpr, _ = roc_curve(1 - y, -s, drop_intermediate=False)
    assert Ranking(a).against(b).fpr_ood() == fpr[np.argmax(tpr >= 0.95)]


def test_one_ood_row_has_no_fpr95_ood():
    one = Ranking([1.0, 2.0]).against([0.0])
    with pytest.raises(ValueError, match="more than 1 OOD rows"):
        one.fpr_ood()
    assert METRICS["fpr95_ood"].of(one) is None


# Detection accuracy


@settings(deadline=None)
@given(scores, scores)
def test_detection_accuracy_is_the_best_balanced_accuracy_of_all_thresholds(a, b):
    y, s = truth(a, b)
    found = [balanced_accuracy_score(y, s >= t) for t in np.unique(s)]
    assert Ranking(a).against(b).detection_accuracy == pytest.approx(max(found), abs=1e-12)
    fpr, tpr, _ = roc_curve(y, s)
    assert Ranking(a).against(b).detection_accuracy == pytest.approx(max(tpr + 1 - fpr) / 2, abs=1e-12)


# AUTC


def trimmed(a):
    a = np.sort(a)
    cut = (len(a) - 1) // 100
    return a[cut], a[-1 - cut]


@pytest.mark.parametrize("n", [2, 30, 100, 101, 250, 1001])
def test_autc_is_the_area_under_both_error_rates(n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_t(3, n), rng.normal(-1, 1, 63)
    low, high = trimmed(a)
    outness = [np.clip((high - x) / (high - low), 0, 1) for x in (a, b)]
    at = np.linspace(0, 1, 200_001)[:, None]
    fpr = [(outness[0] >= t).mean() for t in at[::50]]
    fnr = [(outness[1] < t).mean() for t in at[::50]]
    area = (auc(at[::50, 0], fpr) + auc(at[::50, 0], fnr)) / 2
    assert Ranking(a).against(b).autc == pytest.approx(area, abs=5e-4)


def test_the_range_of_autc_leaves_out_one_percent_at_each_end():
    assert Ranking(np.arange(100.0)).scale == (0.0, 99.0)
    assert Ranking(np.arange(101.0)).scale == (1.0, 99.0)
    assert Ranking(np.arange(1001.0)).scale == (10.0, 990.0)
    assert Ranking([-np.inf, 1.0, 3.0, np.inf]).scale == (1.0, 3.0)


@settings(deadline=None)
@given(scores, scores, st.floats(-3, 3), st.floats(0.1, 10))
def test_autc_ignores_shift_and_scale(a, b, shift, factor):
    moved = Ranking(a * 4 + 8).against(b * 4 + 8)
    if np.ptp(a) > 1e-6:  # otherwise the shift rounds the differences away
        assert moved.autc == pytest.approx(Ranking(a).against(b).autc, abs=1e-6)


def test_autc_of_a_constant_a_perfect_and_an_infinite_score():
    assert Ranking(np.ones(9)).against(np.ones(4)).autc == 0.5
    assert Ranking(np.ones(9)).against(np.zeros(4)).autc == 0.0
    assert Ranking([*np.ones(999), 0.0]).against(np.zeros(4)).autc == pytest.approx(0.0005)  # 1 % is left out
    assert Ranking([*np.ones(99), 0.0]).against(np.zeros(4)).autc == pytest.approx(0.005)
    assert Ranking([np.inf, np.inf]).against([-np.inf]).autc == 0.0
    assert Ranking([np.inf, 1.0, 0.0]).against([-np.inf, np.inf]).autc == pytest.approx((1 / 3 + 1 - 0.5) / 2)


def test_autc_settles_as_rows_are_added():
    """With the smallest and the largest score as the range it would go from 0.37 to 0.41."""
    rng = np.random.default_rng(0)

    def mean(n):
        return np.mean([Ranking(rng.normal(size=n)).against(rng.normal(-1.5, 1, 2000)).autc for _ in range(20)])

    assert mean(50_000) == pytest.approx(mean(500), abs=0.01)


# The failure view


def aurc_of_an_order(errors):
    return np.mean([np.mean(errors[: k + 1]) for k in range(len(errors))])


@settings(deadline=None)
@given(
    arrays(np.float64, 6, elements=st.sampled_from([0.0, 1.0, 2.0])),
    arrays(np.bool_, 6),
)
def test_aurc_with_ties_is_the_mean_over_their_orders(a, correct):
    """Every order of six rows that the scores allow, none more often than another."""
    orders = [order for order in permutations(range(6)) if all(np.diff(a[list(order)]) <= 0)]
    expected = np.mean([aurc_of_an_order(~correct[list(order)]) for order in orders])
    assert Ranking(a, correct).aurc == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=2, max_size=12), st.integers(0, 9))
def test_rows_without_a_score_are_errors_wherever_they_are_ranked(rows, seed):
    a, correct, lost = (np.array(column) for column in zip(*rows, strict=True))
    b = np.random.default_rng(seed).integers(0, 5, 6).astype(float)
    found = Ranking(np.where(lost, -np.inf, a), correct, lost).against(b)
    for values in ([-9.0] * len(a), [9.0] * len(a), np.random.default_rng(seed).permutation(len(a)) - 3.0):
        other = Ranking(np.where(lost, values, a), correct).against(b)
        assert found.auroc <= other.auroc + 1e-12
        assert found.ranked.aurc >= other.ranked.aurc - 1e-12
        if correct.any():
            assert found.failure_auroc <= other.failure_auroc + 1e-12


def test_a_misclassified_row_without_a_score_is_trusted_most():
    a, correct = np.array([3.0, 2.0, -np.inf, 1.0]), [True, True, False, False]
    ranked = Ranking(a, correct, [False, False, True, False])
    assert ranked.aurc == pytest.approx(np.mean([1, 1 / 2, 1 / 3, 2 / 4]))
    assert ranked.against([2.5]).failure_auroc == pytest.approx(3 / 6)  # of 2 correct against 3: 3 beats 1 and 2.5
    assert ranked.against([2.5]).auroc == 1 / 4


def test_aurc_without_ties_and_its_landmarks():
    rng = np.random.default_rng(0)
    a, correct = rng.permutation(3000), rng.random(3000) < 0.8
    assert Ranking(a, correct).aurc == pytest.approx(aurc_of_an_order(~correct[np.argsort(-a)]), abs=1e-12)
    error = 1 - correct.mean()
    assert Ranking(np.zeros(3000), correct).aurc == pytest.approx(error, abs=1e-12)  # knows nothing
    best = error + (1 - error) * np.log(1 - error)
    assert Ranking(correct, correct).aurc == pytest.approx(best, abs=1e-3)
    assert Ranking(a, np.ones(3000, bool)).aurc == 0.0
    assert Ranking(a, np.zeros(3000, bool)).aurc == 1.0


@settings(deadline=None)
@given(labelled, scores)
def test_failure_auroc_equals_scikit_learn(pair, b):
    a, correct = pair
    found = Ranking(a, correct).against(b).failure_auroc
    if not correct.any():
        assert found is None
        return
    trusted = np.r_[correct, np.zeros(len(b), bool)]
    assert found == pytest.approx(roc_auc_score(trusted, np.r_[a, b]), abs=1e-12)
    if correct.all():
        assert found == pytest.approx(Ranking(a).against(b).auroc, abs=1e-12)


def test_without_labels_there_is_no_failure_view():
    c = Ranking([1.0, 2.0]).against([0.0, 1.0])
    assert (c.ranked.aurc, c.failure_auroc) == (None, None)
    with pytest.raises(ValueError, match="2 ID scores, but 3 rows are correct or not"):
        Ranking([1.0, 2.0], [True, False, True])


# All of them


@settings(deadline=None)
@given(labelled, scores, st.randoms(use_true_random=False))
def test_every_metric_keeps_its_limits_and_ignores_the_order_of_rows(pair, b, random):
    a, correct = pair
    rows = random.sample(range(len(a)), len(a))
    before, again = Ranking(a, correct).against(b), Ranking(a[rows], correct[rows]).against(np.sort(b))
    for metric in METRICS.values():
        value = metric.of(before)
        if value is not None:
            low, high = sorted([metric.worst, 1.0 if metric.better == "higher" else 0.0])
            assert low - 1e-12 <= value <= high + 1e-12
            assert metric.of(again) == pytest.approx(value, abs=1e-12)


def test_the_worst_value_is_reached_and_the_best_as_well():
    """All OOD above all ID, every row misclassified; then the opposite."""
    high, low = np.full(60, 2.0), np.r_[np.zeros(59), 1.0]
    worst = Ranking(np.r_[low[1:], -1.0], np.zeros(60, bool), confidence=np.ones(60)).against(high)
    best = Ranking(np.ones(500), np.ones(500, bool), confidence=np.ones(500)).against(-np.ones(60))
    for name, metric in METRICS.items():
        if name in ("aupr_in", "aupr_out", "failure_auroc", "autc"):
            continue  # their worst values are limits: of few positives, and of rows that cannot all be at an end
        assert metric.of(worst) == metric.worst, name
    for name, metric in METRICS.items():
        if name in ("scod_aurc", "scod_augrc"):
            continue  # OOD rows are errors wherever they come
        wanted = 1.0 if metric.better == "higher" else 0.0
        assert metric.of(best) == pytest.approx(wanted, abs=1e-12), name


def test_headings_show_the_orientation():
    assert (METRICS["auroc"].heading, METRICS["autc"].heading) == ("AUROC ↑", "AUTC ↓")
    assert METRICS["detection_accuracy"].worst == 0.5
