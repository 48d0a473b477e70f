"""Scores by nearest rows: what a coreset covers, what a shift undoes, and what a rank counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import PowerTransformer, StandardScaler

from moodbench.errors import UsageError
from moodbench.scores.base import create_score
from moodbench.scores.machinery import coreset
from moodbench.scores.machinery.coreset import greedy_coreset, projected
from moodbench.scores.machinery.yeo_johnson import YeoJohnson, fit_yeo_johnson
from tests.worlds import fit, make_world

WORLD = make_world(4)
ROWS = np.concatenate(list(WORLD.tests.values()))


def scored(name, world=WORLD, rows=ROWS, **params):
    return fit([name], world, **{name: params})[name].score(world.block(rows)).double().numpy()


# --- coresets


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_a_coreset_is_half_as_good_as_the_best_at_worst(seed, size):
    """Gonzalez' bound: no choice of as many rows leaves every row within half the distance that this one leaves."""
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(13, 3)))
    chosen = greedy_coreset(rows, size)
    distances = torch.cdist(rows, rows)
    left = distances[:, chosen].amin(dim=1).max()
    # the row that is left farthest and those chosen are all this far from one another: two of them share any centre
    apart = distances[chosen][:, chosen].fill_diagonal_(torch.inf)
    assert len(chosen) == len(set(chosen.tolist())) == size
    assert apart.min() >= left * (1 - 1e-9)


def test_a_coreset_begins_far_out_and_stops_where_all_rows_are_there():
    rows = torch.tensor([[0.0], [1.0], [1.0], [5.0], [0.0]], dtype=torch.float64)
    assert rows[greedy_coreset(rows, 5)].flatten().tolist() == [5.0, 0.0, 1.0]
    assert greedy_coreset(rows[:1], 3).tolist() == [0]


def test_of_equally_far_rows_the_one_farthest_from_the_mean_is_taken():
    rows = torch.tensor([[9.0, 0.0], [0.0, 2.0], [0.0, -2.0], [0.1, -2.0]], dtype=torch.float64)
    straight = greedy_coreset(rows, 2).tolist()
    assert straight == [0, 1]  # as far from the first as the third, and farther from the mean


@pytest.mark.parametrize("spread", [1.0, 1e-9])
def test_looking_at_the_farthest_rows_alone_chooses_the_same(spread, monkeypatch):
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(300, 5))) * spread + 3
    usual = greedy_coreset(rows, 120)
    for together in (1, 7, 1000):
        monkeypatch.setattr(coreset, "TOGETHER", together)
        assert torch.equal(greedy_coreset(rows, 120), usual)


def test_more_ties_than_are_looked_at_are_broken_alike(monkeypatch):
    rows = torch.eye(40, dtype=torch.float64) * torch.linspace(1, 2, 40, dtype=torch.float64)[:, None].sqrt()
    rows = torch.cat([rows / rows.norm(dim=1, keepdim=True), -0.001 * torch.ones(1, 40, dtype=torch.float64)])
    usual = greedy_coreset(rows, 20)
    monkeypatch.setattr(coreset, "TOGETHER", 3)
    assert torch.equal(torch.pdist(rows[greedy_coreset(rows, 20)]), torch.pdist(rows[usual]))


def test_projections_keep_distances_and_narrow_rows():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 700)))
    narrow = projected(rows, 128, seed=0)
    assert narrow.shape == (60, 128)
    ratio = torch.pdist(narrow) / torch.pdist(rows) / 128**0.5
    assert ratio.min() > 0.7
    assert ratio.max() < 1.3
    assert projected(narrow, 128, seed=0) is narrow
    assert not torch.equal(projected(rows, 128, seed=1), narrow)


def test_a_coreset_of_all_rows_is_the_nearest_neighbour():
    np.testing.assert_allclose(scored("knn_coreset", coreset=1.0), scored("knn", k=1), atol=1e-6)
    np.testing.assert_allclose(scored("knn_coreset", coreset=1.0, k=7), scored("knn", k=7), atol=1e-6)


def test_a_coreset_covers_more_than_a_random_choice():
    """The worst covered ID train row is nearer to the coreset than to a random sample as large."""
    everywhere = scored("knn_coreset", rows=WORLD.train, coreset=0.05)
    rng = np.random.default_rng(0)
    for _ in range(5):
        some = rng.permutation(len(WORLD.train))[:20]
        thin = WORLD.with_(train=WORLD.train[some], labels=WORLD.labels[some])
        assert everywhere.min() > scored("knn", thin, WORLD.train, k=1).min()


def test_a_neighbour_beyond_the_coreset_is_its_farthest_row():
    np.testing.assert_array_equal(scored("knn_coreset", coreset=0.01, k=99), scored("knn_coreset", coreset=0.01, k=4))


# --- mean-shifted rows


def test_a_shift_common_to_all_unit_rows_changes_nothing():
    """Rows of unit length at another place of the sphere of one more dimension: z - m is what it was."""
    unit = {name: rows / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in WORLD.tests.items()}
    train = WORLD.train / np.linalg.norm(WORLD.train, axis=1, keepdims=True)
    lifted = [np.pad(x, ((0, 0), (0, 1)), constant_values=3.0) for x in (train, *unit.values())]
    world = WORLD.with_(train=lifted[0].astype(np.float32), weight=None, bias=None)
    rows = np.concatenate(lifted[1:]).astype(np.float32)
    np.testing.assert_allclose(scored("mean_shifted", world, rows), scored("mean_shifted"), atol=1e-5)


def test_a_row_at_the_mean_has_no_direction():
    train = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    world = WORLD.with_(train=train, labels=np.zeros(12, np.int64), weight=None, bias=None)
    rows = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], np.float32)
    assert np.isfinite(scored("mean_shifted", world, rows)).all()
    assert scored("mean_shifted", world, rows)[1] == pytest.approx(1.0)


def test_fewer_rows_than_neighbours_are_all_taken():
    few = WORLD.with_(train=WORLD.train[:5], labels=WORLD.labels[:5])
    assert fit(["mean_shifted"], few, mean_shifted={"k": 50})["mean_shifted"].note_ is not None
    np.testing.assert_array_equal(scored("mean_shifted", few, k=50), scored("mean_shifted", few, k=5))


# --- ranks


def test_rows_of_id_train_are_within_reach_and_the_other_side_of_the_sphere_is_not():
    inside = WORLD.train + np.eye(1, 24, dtype=np.float32) * 40
    world = WORLD.with_(train=inside, weight=None, bias=None)
    assert scored("cfood", world, inside).min() > -0.5
    np.testing.assert_array_equal(scored("cfood", world, -inside), -1.0)


def test_ranks_are_those_of_the_grid():
    values = np.unique(scored("cfood"))
    steps = {0.0, *np.linspace(0.001, 0.1, 100), *np.linspace(0.105, 0.5, 81), *np.linspace(0.51, 0.99, 49), 1.0}
    assert len(values) <= 231
    assert all(min(abs(-value - step) for step in steps) < 1e-6 for value in values)


def test_two_rows_are_enough():
    two = WORLD.with_(train=WORLD.train[:2], labels=np.zeros(2, np.int64), weight=None, bias=None)
    assert np.isfinite(scored("cfood", two)).all()
    one = two.with_(train=two.train[:1], labels=two.labels[:1])
    assert np.isfinite(scored("cfood", one)).all()


# --- a near row and a Gaussian


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_powers_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.normal(size=200), rng.exponential(size=200), -(rng.exponential(size=200) ** 2)], axis=1)
    rows = StandardScaler().fit_transform(np.hstack([rows, np.maximum(rows[:, :2], 0), np.sinh(rows[:, :1])]))
    power = PowerTransformer(standardize=False).fit(rows)
    found = fit_yeo_johnson(torch.from_numpy(rows))
    np.testing.assert_allclose(found.powers.numpy(), power.lambdas_, atol=2e-5)
    np.testing.assert_allclose(found(torch.from_numpy(rows)).numpy(), power.transform(rows), atol=1e-4)


def test_powers_of_zero_and_two_are_logarithms():
    rows = torch.tensor([[0.5, 0.5], [-0.5, -0.5]], dtype=torch.float64)
    found = YeoJohnson(torch.tensor([0.0, 2.0], dtype=torch.float64))(rows)
    np.testing.assert_allclose(found.numpy(), [[np.log(1.5), 1.25 / 2], [-1.25 / 2, -np.log(1.5)]], rtol=1e-4)


def test_a_column_that_does_not_vary_keeps_its_power():
    assert fit_yeo_johnson(torch.zeros(20, 2, dtype=torch.float64)).powers.tolist() == [1.0, 1.0]


def test_columns_that_do_not_vary_are_left_out():
    still = [np.pad(x, ((0, 0), (0, 1))) for x in (WORLD.train, ROWS)]
    world = WORLD.with_(train=still[0], weight=None, bias=None)
    wider = scored("combood", world, still[1])
    shift = (np.sqrt(25) / np.sqrt(24) - 1) * np.sqrt(24) * np.log(2 - 2 * scored("knn", k=50))
    np.testing.assert_allclose(wider + shift, scored("combood"), atol=1e-3)


def test_rows_beyond_all_measure_are_far_out():
    rows = np.concatenate([WORLD.train[:1], -WORLD.train[:1] * 1e30]).astype(np.float32)
    inside, outside = scored("combood", rows=rows)
    assert np.isfinite(outside)
    assert outside < inside


def test_fewer_rows_than_neighbours_take_the_farthest():
    few = WORLD.with_(train=WORLD.train[:30], labels=WORLD.labels[:30])
    assert "30 rows only" in fit(["combood"], few)["combood"].note_
    np.testing.assert_array_equal(scored("combood", few), scored("combood", few, k=30))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("knn_coreset", {"coreset": 0.0}),
        ("knn_coreset", {"coreset": 1.5}),
        ("knn_coreset", {"k": 0}),
        ("knn_coreset", {"rows": 0}),
        ("mean_shifted", {"k": 0}),
        ("cfood", {"k": 0.0}),
        ("cfood", {"k": 1.1}),
        ("cfood", {"rows": 1}),
        ("combood", {"k": 0}),
        ("combood", {"rows": 1}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name, params):
    with pytest.raises(UsageError):
        create_score(name, params)
