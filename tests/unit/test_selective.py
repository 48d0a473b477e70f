"""Selective classification, with OOD rows and without: against plain definitions, row by row, and what always holds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moodbench.metrics import METRICS
from moodbench.ranking import Ranking
from moodbench.selective import calibration_error, id_curve, joint, joint_curve, oscr

JOINT = ("scod_aurc", "scod_augrc", "oscr")
few = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 1e6, np.inf]) | st.floats(-5, 5)
id_rows = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=few), arrays(np.bool_, n), arrays(np.float64, n, elements=st.floats(0, 1))
    )
)
ood_rows = st.integers(1, 30).flatmap(lambda m: arrays(np.float64, m, elements=few))


def compared(a, correct, b, confidence=None):
    return Ranking(a, correct, confidence=confidence).against(b)


def numbers(c):
    return {name: METRICS[name].of(c) for name in METRICS if name not in ("fpr95_ood", "fpr95")}


def areas_by_row(scores, wrong, weight):
    """AURC and AUGRC: every row is cut into slices that are accepted one after the other, ties in equal shares."""
    slices = 4000
    area = generalized = coverage = errors = 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        here = scores == threshold
        mass, bad = weight[here].sum(), (weight * wrong)[here].sum()
        for _ in range(slices):  # the midpoint rule
            middle, faults = coverage + mass / slices / 2, errors + bad / slices / 2
            area += faults / middle * mass / slices
            generalized += faults * mass / slices
            coverage, errors = coverage + mass / slices, errors + bad / slices
    return area, generalized


@pytest.mark.parametrize("seed", range(6))
def test_areas_are_those_of_the_plain_definition(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(3, 25, 2)
    a, b = rng.integers(0, 9, n) / 4 + 0.5, rng.integers(0, 9, m) / 4  # with many ties within and between
    correct = rng.random(n) < 0.6
    c = compared(a, correct, b)
    wanted = areas_by_row(
        np.r_[a, b], np.r_[~correct, np.ones(m, bool)], np.r_[np.full(n, 0.5 / n), np.full(m, 0.5 / m)]
    )
    assert METRICS["scod_aurc"].of(c) == pytest.approx(wanted[0], abs=1e-4)
    assert METRICS["scod_augrc"].of(c) == pytest.approx(wanted[1], abs=1e-6)
    assert METRICS["augrc"].of(c) == pytest.approx(areas_by_row(a, ~correct, np.full(n, 1 / n))[1], abs=1e-6)


def test_many_rows_without_ties_give_the_mean_over_the_top_k():
    """The area under the risk is the limit of the usual mean over k."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 20_000), rng.normal(0, 1, 20_000)
    correct = rng.random(len(a)) < 1 / (1 + np.exp(-2 * a))
    order = np.argsort(-np.r_[a, b])
    errors = np.cumsum(np.r_[~correct, np.ones(len(b), bool)][order])
    k = np.arange(1, len(errors) + 1)
    c = compared(a, correct, b)
    assert METRICS["scod_aurc"].of(c) == pytest.approx(np.mean(errors / k), abs=1e-4)
    assert METRICS["scod_augrc"].of(c) == pytest.approx(np.mean(errors / len(errors)), abs=1e-4)
    assert id_curve(c.ranked.failures).area_under_risk == pytest.approx(METRICS["aurc"].of(c), abs=1e-3)
    assert METRICS["aurra"].of(c) == 1 - METRICS["aurc"].of(c)


@settings(deadline=None)
@given(id_rows, ood_rows)
def test_oscr_counts_pairs(rows, b):
    a, correct, _ = rows
    pairs = np.where(a[:, None] > b, 1.0, np.where(a[:, None] == b, 0.5, 0.0))
    found = oscr(compared(a, correct, b))
    assert found == pytest.approx((pairs * correct[:, None]).mean(), abs=1e-12)
    assert found <= correct.mean() + 1e-12
    assert oscr(compared(a, np.ones(len(a), bool), b)) == pytest.approx(compared(a, correct, b).auroc, abs=1e-12)


@settings(deadline=None)
@given(id_rows)
def test_augrc_follows_from_the_auroc_of_right_against_wrong_rows(rows):
    """Equation of the paper (arXiv 2407.01032)."""
    a, correct, _ = rows
    wrong = 1 - correct.mean()
    separation = Ranking(a[correct]).against(a[~correct]).auroc if 0 < wrong < 1 else 1.0
    found = METRICS["augrc"].of(compared(a, correct, a))
    assert found == pytest.approx((1 - separation) * wrong * (1 - wrong) + wrong**2 / 2, abs=1e-12)


@settings(deadline=None)
@given(id_rows, ood_rows)
def test_joint_augrc_follows_from_an_auroc_too(rows, b):
    """The same with the wrong ID rows and all OOD rows as failures, of weight 1 / (2 n) and 1 / (2 m)."""
    a, correct, _ = rows
    pairs = [(x, 0.5 / len(a)) for x in a[~correct]] + [(x, 0.5 / len(b)) for x in b]
    failing = sum(w for _, w in pairs)
    lost = sum(w * 0.5 / len(a) * ((x > y) + 0.5 * (x == y)) for x, w in pairs for y in a[correct])
    assert METRICS["scod_augrc"].of(compared(a, correct, b)) == pytest.approx(lost + failing**2 / 2, abs=1e-12)


@settings(deadline=None)
@given(id_rows, ood_rows)
def test_values_lie_where_they_can(rows, b):
    a, correct, confidence = rows
    found = numbers(compared(a, correct, b, confidence))
    for name, value in found.items():
        assert value is None or 0 <= value <= 1, name
    assert found["scod_augrc"] <= 0.5 + 1e-12
    assert found["augrc"] <= 0.5 + 1e-12
    error = (1 - correct.mean()) / 2 + 0.5
    best = error + (1 - error) * np.log1p(-error) if error < 1 else 1.0  # all errors come last
    assert best - 1e-9 <= found["scod_aurc"]
    assert found["scod_augrc"] >= error**2 / 2 - 1e-12


@settings(deadline=None)
@given(id_rows, ood_rows, st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_number_of_either_side_counts(rows, b, more, again, random):
    a, correct, confidence = rows
    some = random.sample(range(len(a) * more), len(a) * more)
    a2, correct2, sure2 = (np.tile(x, more)[some] for x in (a, correct, confidence))
    first = numbers(compared(a, correct, b, confidence))
    second = numbers(compared(a2, correct2, np.tile(b, again)[::-1], sure2))
    for name in (*JOINT, "augrc", "ece"):
        assert second[name] == pytest.approx(first[name], abs=1e-9), name


@settings(deadline=None)
@given(id_rows, ood_rows)
def test_joint_curves_depend_on_ranks_alone(rows, b):
    a, correct, _ = rows
    values = np.unique(np.r_[a, b])
    c = compared(a, correct, b)
    ranked = compared(np.searchsorted(values, a), correct, np.searchsorted(values, b))
    assert [METRICS[name].of(ranked) for name in JOINT] == [METRICS[name].of(c) for name in JOINT]


def test_curves_rise_from_nothing_to_everything():
    rng = np.random.default_rng(1)
    c = compared(rng.integers(0, 5, 40), rng.random(40) < 0.7, rng.integers(0, 5, 7))
    curve = joint_curve(c.ranked.failures, c.ood)
    assert (curve.coverage[0], curve.coverage[-1], curve.errors[0]) == (0, 1, 0)
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.errors) >= 0).all()
    assert len(curve.coverage) == 1 + len(np.unique(np.r_[c.id, c.ood]))


def test_a_constant_score_has_the_error_rate_and_half_of_it():
    c = compared(np.ones(10), np.arange(10) < 8, np.ones(3))
    assert METRICS["scod_aurc"].of(c) == pytest.approx(0.6)
    assert METRICS["scod_augrc"].of(c) == pytest.approx(0.3)
    assert METRICS["oscr"].of(c) == pytest.approx(0.4)


def test_an_id_row_without_a_score_is_an_error_either_way():
    """A wrong one is accepted first, a right one last."""
    nan, correct = np.array([False, False, True, True]), np.array([True, False, True, False])
    ranked = Ranking([1.0, 0.5, -np.inf, -np.inf], correct, nan)
    worst = Ranking([1.0, 0.5, -9.0, 9.0], correct)
    for name in ("scod_aurc", "scod_augrc", "augrc"):
        assert METRICS[name].of(ranked.against([0.7])) == METRICS[name].of(worst.against([0.7]))


@pytest.mark.parametrize("seed", range(4))
def test_calibration_error_is_that_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    sure = np.round(rng.random(200) ** 0.3, 2) if seed % 2 else rng.random(200)
    sure[:3] = 1.0, 1 / 15, 0.0
    correct = rng.random(200) < sure**2
    total = 0.0
    edges = np.linspace(0, 1, 16)
    for low, high in pairwise(edges):
        inside = (sure > low) & (sure <= high) | ((sure == 0) & (low == 0))
        if inside.any():
            total += inside.mean() * abs(sure[inside].mean() - correct[inside].mean())
    assert calibration_error(sure, correct) == pytest.approx(total, abs=1e-12)


def test_a_calibrated_classifier_has_no_error_and_a_sure_one_its_error_rate():
    correct = np.arange(100) < 80
    assert calibration_error(np.full(100, 0.8), correct) == pytest.approx(0, abs=1e-12)
    assert calibration_error(np.ones(100), correct) == pytest.approx(0.2)


def test_without_labels_there_are_none():
    c = Ranking([1.0, 2.0], confidence=[0.5, 0.6]).against([0.0])
    assert joint(c) is None
    assert {METRICS[name].of(c) for name in (*JOINT, "augrc", "aurra", "ece")} == {None}
    assert METRICS["ece"].of(Ranking([1.0, 2.0], [True, False]).against([0.0])) is None
    with pytest.raises(ValueError, match="2 ID scores, but 1 rows are confident"):
        Ranking([1.0, 2.0], [True, False], confidence=[0.5])
