"""Differences of AUROCs on the same rows: against scikit-learn, a bootstrap, plain Holm, and how often luck wins."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from moodbench.paired import Sample, difference, holm, measure

N, FIRST, SECOND = 120, 90, 150
ROWS = N + FIRST + SECOND


def samples(values):
    """Scores of all images → ID rows, and two OOD datasets."""
    parts = np.split(np.arange(ROWS), [N, N + FIRST])
    of_id, *oods = (Sample(values[part], part) for part in parts)
    return [of_id], oods


def mean_auroc(values, images=None):
    """The mean over both OOD datasets, of drawn images where some are given, by scikit-learn."""
    drawn = np.arange(ROWS) if images is None else images
    parts = np.split(drawn, [N, N + FIRST])
    found = [
        roc_auc_score(np.r_[np.ones(N), np.zeros(len(part))], np.r_[values[parts[0]], values[part]])
        for part in parts[1:]
    ]
    return float(np.mean(found))


def two_scores(rng, gap=0.0, noise=0.7, ties=False):
    """Scores that share most of what is hard about an image."""
    common = rng.normal(size=ROWS) + np.r_[np.ones(N), np.zeros(ROWS - N)]
    pair = [common + noise * rng.normal(size=ROWS), common + noise * rng.normal(size=ROWS)]
    pair[0][:N] += gap
    return [np.round(one, 1) if ties else one for one in pair]


@pytest.mark.parametrize("ties", [False, True])
def test_the_mean_is_that_of_scikit_learn_in_any_order_of_rows(ties):
    rng = np.random.default_rng(0)
    values, _ = two_scores(rng, ties=ties)
    (of_id,), oods = samples(values)
    found = measure([of_id], oods, ROWS)
    assert found.value == pytest.approx(mean_auroc(values), abs=1e-12)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high
    order = rng.permutation(N)
    other = measure([Sample(of_id.scores[order], of_id.images[order])], oods, ROWS)
    np.testing.assert_allclose(other.parts, found.parts, atol=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_the_paired_interval_is_that_of_a_plain_bootstrap(ties):
    rng = np.random.default_rng(1)
    one, other = two_scores(rng, gap=0.2, ties=ties)
    found = difference(measure(*samples(one), ROWS), measure(*samples(other), ROWS))
    assert found.value == pytest.approx(mean_auroc(one) - mean_auroc(other), abs=1e-12)
    starts = np.split(np.arange(ROWS), [N, N + FIRST])
    drawn = []
    for _ in range(250):
        images = np.concatenate([rng.choice(part, len(part)) for part in starts])
        drawn.append(mean_auroc(one, images) - mean_auroc(other, images))
    half = (found.high - found.low) / 2
    assert half == pytest.approx(1.96 * np.std(drawn), rel=0.17)
    alone = np.hypot(*(np.sqrt(np.sum(measure(*samples(each), ROWS).parts ** 2.0)) for each in (one, other)))
    assert half < 0.8 * 1.96 * alone  # what both share has fallen out


def test_rows_that_are_id_once_and_ood_otherwise_count_once():
    """Each of three classes in turn against the others: a plain bootstrap of the images of each class."""
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(3), 60)
    base = rng.normal(size=180)
    values = [np.where(labels == c, 1.0, 0.0) + base + 0.3 * rng.normal(size=180) for c in range(3)]

    def mean(images):
        found = [roc_auc_score(labels[images] == c, values[c][images]) for c in range(3)]
        return float(np.mean(found))

    images = np.arange(180)
    of_id = [Sample(values[c][labels == c], images[labels == c]) for c in range(3)]
    oods = [Sample(values[c][labels != c], images[labels != c]) for c in range(3)]
    found = measure(of_id, oods, 180)
    assert found.value == pytest.approx(mean(images), abs=1e-12)
    assert found.interval is None
    drawn = [mean(np.concatenate([rng.choice(images[labels == c], 60) for c in range(3)])) for _ in range(250)]
    assert np.sqrt(np.sum(found.parts**2.0)) == pytest.approx(np.std(drawn), rel=0.17)


def test_two_scores_that_differ_by_noise_alone_are_told_apart_in_five_of_a_hundred_cases():
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(400):
        one, other = (measure(*samples(each), ROWS) for each in two_scores(rng))
        called += difference(one, other).p < 0.05
    assert 0.03 < called / 400 < 0.075


def test_the_best_of_ten_equal_scores_is_not_called_better_than_chance_allows():
    """Compared with the nine others alone, as if it had not been chosen, it would be in one case of eight."""
    rng = np.random.default_rng(4)
    called, naive = 0, 0
    for _ in range(150):
        common = rng.normal(size=ROWS) + np.r_[np.ones(N), np.zeros(ROWS - N)]
        some = [measure(*samples(common + rng.normal(size=ROWS)), ROWS) for _ in range(10)]
        best = max(some, key=lambda one: one.value)
        p = [difference(one, best).p for one in some if one is not best]
        called += holm(p, 45).min() < 0.05
        naive += holm(p).min() < 0.05
    assert called / 150 <= 0.06
    assert naive > called


def test_equal_scores_do_not_differ_and_perfect_ones_do():
    same = measure(*samples(np.zeros(ROWS)), ROWS)
    assert difference(same, same) == difference(same, measure(*samples(np.ones(ROWS)), ROWS))
    assert (difference(same, same).value, difference(same, same).p) == (0.0, 1.0)
    perfect = measure(*samples(np.r_[np.ones(N), np.zeros(ROWS - N)]), ROWS)
    assert difference(perfect, same).value == 0.5
    assert difference(perfect, same).p == 0.0


def test_holm_is_its_plain_definition():
    rng = np.random.default_rng(5)
    for _ in range(20):
        p = rng.uniform(size=7) ** 3
        wanted = {}
        so_far = 0.0
        for rank, at in enumerate(sorted(range(7), key=lambda i: p[i])):
            so_far = max(so_far, min(1.0, (7 - rank) * p[at]))
            wanted[at] = so_far
        np.testing.assert_allclose(holm(p), [wanted[i] for i in range(7)])
    np.testing.assert_allclose(holm([0.02, 0.001], 10), [0.18, 0.01])
    assert holm([]).size == 0
