"""The bootstrap of FPR95: against its plain definition, draw by draw, and how often luck wins."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench import resampling
from moodbench.paired import Sample, difference
from moodbench.resampling import Draws, Resampled, strata_of


def plain_fpr95(of_id, ood):
    """The definition: floor(0.95 n) ID rows are kept."""
    threshold = np.sort(of_id)[::-1][int(np.floor(0.95 * len(of_id))) - 1]
    return np.mean(ood >= threshold)


def plainly(id_samples, ood_samples, draws):
    """The mean FPR95 of every draw, with the rows written out as often as they occur."""
    found = []
    for counts in draws:
        for draw in counts.T:
            drawn = [np.repeat(one.scores, draw[one.images]) for one in (*id_samples, *ood_samples)]
            ids, oods = drawn[: len(id_samples)], drawn[len(id_samples) :]
            ids = ids * len(oods) if len(ids) == 1 else ids
            found.append(np.mean([plain_fpr95(*pair) for pair in zip(ids, oods, strict=True)]))
    return np.array(found)


def resampled(id_samples, ood_samples, draws):
    one = Resampled(id_samples, ood_samples)
    for counts in draws:
        one.add(counts)
    return one.measured()


def deviations(found):
    return (found - found.mean()) / np.sqrt(len(found) - 1)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(st.integers(2, 90), st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 10**6),
    digits=st.integers(0, 3),
    shift=st.sampled_from([-3.0, 0.0, 1.0, 4.0]),
    infinite=st.booleans(),
)
def test_it_is_the_plain_definition_on_the_same_draws(sizes, seed, digits, shift, infinite):
    rng = np.random.default_rng(seed)
    parts = np.split(rng.permutation(sum(sizes)), np.cumsum(sizes)[:-1])
    values = np.round(rng.normal(size=sum(sizes)), digits)
    values[parts[0]] += shift
    if infinite:
        values[rng.integers(sum(sizes), size=3)] = rng.choice([-np.inf, np.inf], 3)
    of_id, *oods = (Sample(values[part], part) for part in parts)
    draws = Draws(parts, sum(sizes), replicates=20, seed=seed)
    found = resampled([of_id], oods, draws)
    assert found.each == tuple(plain_fpr95(of_id.scores, ood.scores) for ood in oods)
    assert found.value == pytest.approx(np.mean(found.each))
    np.testing.assert_allclose(found.parts, deviations(plainly([of_id], oods, draws)), atol=1e-6)


def test_each_class_in_turn_draws_an_image_once_for_all_classes():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), 40))
    values = [np.where(labels == c, 1.5, 0.0) + rng.normal(size=120) for c in range(3)]
    strata = strata_of([np.where(labels == c, 1, 0).astype(np.int8) for c in range(3)])
    assert sorted(map(len, strata)) == [40, 40, 40]
    assert all(len(set(labels[stratum])) == 1 for stratum in strata)
    images = np.arange(120)
    ids = [Sample(values[c][labels == c], images[labels == c]) for c in range(3)]
    oods = [Sample(values[c][labels != c], images[labels != c]) for c in range(3)]
    draws = Draws(strata, 120, replicates=50)
    np.testing.assert_allclose(resampled(ids, oods, draws).parts, deviations(plainly(ids, oods, draws)), atol=1e-6)


def test_draws_are_stratified_repeatable_and_bounded(monkeypatch):
    strata = [np.arange(7), np.arange(9, 20)]
    whole = list(Draws(strata, 20, replicates=30))
    assert [one.shape for one in whole] == [(20, 30)]
    assert (whole[0][:7].sum(axis=0) == 7).all()
    assert (whole[0][7:9] == 0).all()
    assert (whole[0][9:].sum(axis=0) == 11).all()
    np.testing.assert_array_equal(whole[0], next(iter(Draws(strata, 20, replicates=30))))
    monkeypatch.setattr(resampling, "_BYTES", 20 * 8 * 8)
    parts = list(Draws(strata, 20, replicates=30))
    assert [one.shape[1] for one in parts] == [8, 8, 8, 6]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[0])


def test_images_in_no_comparison_are_in_no_stratum():
    sides = [np.array([1, 1, -1, 0, -1], np.int8), np.array([-1, -1, -1, 0, 0], np.int8)]
    assert sorted(one.tolist() for one in strata_of(sides)) == [[0, 1], [3], [4]]


N, M = 200, 300


PARTS = [np.arange(N), np.arange(N, N + M)]


def one_case(rng, draws):
    """Two scores that differ by noise alone."""
    common = rng.normal(size=N + M) + np.r_[np.full(N, 2.0), np.zeros(M)]
    found = []
    for _ in range(2):
        values = common + 0.5 * rng.normal(size=N + M)
        found.append(
            resampled([Sample(values[part], part) for part in PARTS[:1]], [Sample(values[PARTS[1]], PARTS[1])], draws)
        )
    return found


def test_two_scores_that_differ_by_noise_alone_are_told_apart_in_at_most_five_of_a_hundred_cases():
    rng = np.random.default_rng(1)
    draws = list(Draws(PARTS, N + M, replicates=150))
    cases = [difference(*one_case(rng, draws)).p < 0.05 for _ in range(250)]
    assert 0.01 < np.mean(cases) < 0.075


def test_the_interval_holds_the_truth_also_where_no_image_was_accepted():
    rng = np.random.default_rng(2)
    normal = NormalDist()
    spread = np.sqrt(1.25)
    for gap, rows in ((2.0, 100), (5.0, 40)):
        truth = normal.cdf((normal.inv_cdf(0.95) * spread - gap) / spread)
        images = np.split(np.arange(400 + rows), [400])
        draws = list(Draws(images, 400 + rows, replicates=150))
        hits = 0
        for _ in range(150):
            ids, oods = rng.normal(gap, spread, size=400), rng.normal(0, spread, size=rows)
            limits = resampled([Sample(ids, images[0])], [Sample(oods, images[1])], draws).interval
            hits += limits.low <= truth <= limits.high
        assert hits / 150 > 0.91


def test_no_accepted_image_of_a_few_is_not_known_to_be_better_than_one():
    """Of 30 images one is accepted by one score, and none by the other."""
    images = np.arange(130)
    of_id = Sample(np.linspace(1, 2, 100), images[:100])
    none, one = (Sample(np.r_[first, np.zeros(29)], images[100:]) for first in (0.0, 1.9))
    draws = list(Draws([images[:100], images[100:]], 130, replicates=200))
    found = difference(resampled([of_id], [one], draws), resampled([of_id], [none], draws))
    assert found.value == pytest.approx(1 / 30)
    assert found.p > 0.2
    assert found.low < 0 < found.high
