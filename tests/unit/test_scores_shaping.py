"""What is special about activation shaping."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.errors import UsageError
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.scores.machinery.quantile import entry_quantile
from moodbench.scores.machinery.shaping import FeatureSpread, entry_quantiles, kept_count, largest, sum_ratio
from moodbench.scores.machinery.statistics import NegativeShare
from tests.worlds import CannotFitError, fit, make_world


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def relu():
    return make_world(relu=True)


def test_kept_counts_are_the_papers():
    expected = {512: (179, 77, 51, 26), 768: (269, 115, 77, 38), 2048: (717, 307, 205, 102)}
    for dim, counts in expected.items():
        assert tuple(kept_count(dim, p) for p in (65, 85, 90, 95)) == counts
    assert kept_count(10, 95) == 1  # 9.5 rounds to 10, which would leave none
    assert kept_count(4, 100) == 1


def test_of_equal_entries_the_first_are_kept():
    x = torch.tensor([[1.0, 2.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [4.0, 3.0, 2.0, 1.0]])
    assert largest(Block(x), 2).tolist() == [[True, True, False, False]] * 3
    assert largest(Block(x), 4).all()


@pytest.mark.parametrize("k", [1, 7, 24])
def test_largest_keeps_the_values_of_topk(k):
    x = torch.from_numpy(np.random.default_rng(0).integers(-3, 4, (50, 24)).astype(np.float32))
    kept = largest(Block(x), k)
    assert (kept.sum(dim=1) == k).all()
    for row, mask in zip(x, kept, strict=True):
        assert sorted(row[mask.bool()].tolist()) == sorted(row.topk(k).values.tolist())


def test_ratio_of_a_row_of_zeros_is_one():
    x = torch.tensor([[0.0, 0.0], [-1.0, -2.0], [3.0, 1.0]])
    assert sum_ratio(Block(x), 1, relu=True).tolist() == [1.0, 1.0, pytest.approx(4 / 3)]
    assert sum_ratio(Block(x), 1, relu=False).tolist() == [1.0, 3.0, pytest.approx(4 / 3)]


@pytest.mark.parametrize("name", ["ash_s", "scale"])
def test_a_kept_sum_near_zero_does_not_overflow(relu, name):
    score = fit([name], relu)[name]
    row = np.zeros((2, 24), np.float32)
    row[0, 0], row[0, 1:] = 1e-6, -1.0  # s1 / s2 is about -1e7
    row[1, 0], row[1, 1:] = -1e-6, -1.0  # and +1e7
    assert torch.isfinite(score.score(relu.block(row))).all()


@pytest.mark.parametrize("relu_ratio", [False, True])
def test_scale_needs_no_second_product_with_the_head(world, relu_ratio):
    block = world.block(world.tests["ood"])
    score = fit(["scale"], world, scale={"relu": relu_ratio})["scale"]
    factor = sum_ratio(block, kept_count(24, 85), relu=relu_ratio).exp()
    logits = (block.features * factor[:, None]).double() @ torch.from_numpy(world.weight).double().T
    expected = torch.logsumexp(logits + torch.from_numpy(world.bias), dim=1)
    torch.testing.assert_close(score.score(block).double(), expected, rtol=1e-5, atol=1e-4)


def test_relu_ratio_is_the_same_on_non_negative_features(relu):
    block = relu.block(relu.tests["ood"])
    for name in ("ash_s", "scale"):
        plain, rectified = (fit([name], relu, **{name: {"relu": r}})[name] for r in (False, True))
        assert torch.equal(plain.score(block), rectified.score(block))


def test_lts_of_a_row_without_positive_entries_is_the_energy(world):
    block = world.block(-np.abs(world.tests["ood"]))
    torch.testing.assert_close(fit(["lts"], world)["lts"].score(block), block.log_sum_exp)


def test_lts_says_where_larger_scales_lower_the_score(world):
    assert fit(["lts"], world)["lts"].note_ is None
    low = world.with_(bias=world.bias - 1000)
    assert fit(["lts"], low)["lts"].note_ == "the mean energy of ID train is negative: a larger scale lowers the score"


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ash_p", {"percentile": 0.0}),
        ("vra", {"low": -1e9, "high": 1e9, "absolute": True}),
        ("bats", {"lam": 1e9}),
    ],
)
def test_shaping_that_leaves_rows_alone_is_the_energy(world, name, params):
    block = world.block(world.train)
    torch.testing.assert_close(fit([name], world, **{name: params})[name].score(block), block.log_sum_exp)


def test_vra_bounds_can_be_given(relu):
    score = fit(["vra"], relu, vra={"low": 0.5, "high": 1.0, "absolute": True})["vra"]
    shaped = score.shape(Block(torch.tensor([[0.4, 0.5, 0.7, 1.0, 3.0]])))
    torch.testing.assert_close(shaped, torch.tensor([[0.0, 0.5, 0.7, 1.0, 1.0]]))


def test_vra_quantiles_of_a_sample_are_near_those_of_all_rows(relu):
    whole, sample = (fit(["vra"], relu, vra={"rows": rows})["vra"] for rows in (10_000, 200))
    np.testing.assert_allclose(whole.high_, np.quantile(relu.train, 0.95, axis=0), rtol=1e-6)
    assert 0 < (sample.high_ - whole.high_).abs().max() < 1.0


@pytest.mark.parametrize(("order", "limit"), [(1, 1.0), (2, 0.01), (20, 0.0)])
def test_bfact_levels_off_or_falls_back(world, order, limit):
    score = fit(["bfact"], world, bfact={"quantile": 0.99, "order": order})["bfact"]
    tau = score.threshold_
    small, far, huge = score.shape(Block(torch.tensor([[0.01 * tau, -100 * tau, 1e38]])))[0].tolist()
    assert small == pytest.approx(0.01 * tau, rel=1e-3)
    assert far == pytest.approx(-limit * tau, rel=1e-3)
    assert np.isfinite(huge)


def test_bfact_cannot_be_fitted_where_tau_is_zero(relu):
    with pytest.raises(CannotFitError, match=r"the 0\.95 quantile of ID train features is zero"):
        fit(["bfact"], relu.with_(train=np.zeros_like(relu.train)))


def test_optfs_drops_what_lies_outside_and_knows_bin_edges(world):
    score = fit(["optfs"], world, optfs={"bins": 4, "tail": 0.0})["optfs"]
    assert score.factors_[0] == score.factors_[-1] == 0
    assert torch.linalg.vector_norm(score.factors_).item() == pytest.approx(1000)
    low, high = float(world.train.min()), float(world.train.max())
    assert score.bins_.edges[[0, -1]].tolist() == pytest.approx([low, high])
    outside = np.full((1, 24), high, np.float32)  # the upper edge belongs to no bin
    assert score.score(world.block(outside)).item() == 0


def test_optfs_energy_and_default_differ(world):
    block = world.block(world.tests["ood"])
    energy = fit(["optfs"], world, optfs={"energy": True})["optfs"].score(block)
    assert torch.isfinite(energy).all()
    assert not torch.allclose(energy, fit(["optfs"], world)["optfs"].score(block))


def test_dice_keeps_the_share_of_weights_that_it_says(world):
    for percentile, share in ((70.0, 0.3), (90.0, 0.1)):
        weight = fit(["dice"], world, dice={"percentile": percentile})["dice"].weight_
        assert (weight != 0).float().mean().item() == pytest.approx(share, abs=0.01)


def test_dice_with_react_clips_and_drops_less(world):
    score = fit(["dice_react"], world)["dice_react"]
    assert (score.weight_ != 0).float().mean().item() == pytest.approx(0.9, abs=0.01)
    assert score.threshold_ == pytest.approx(np.quantile(world.train, 0.9), rel=1e-6)
    assert score.shape(Block(torch.tensor([[-9.0, 99.0]])))[0].tolist() == pytest.approx([-9.0, score.threshold_])


def test_cea_is_the_energy_below_its_threshold(world):
    score = fit(["cea"], world)["cea"]
    assert score.threshold_ == pytest.approx(1.1 * np.quantile(world.train[9::10], 0.999), rel=1e-6)
    block = world.block(np.minimum(world.tests["ood"], score.threshold_))
    assert torch.equal(score.score(block), block.log_sum_exp)


def test_cea_does_not_depend_on_the_order_of_the_rows_on_either_side(world):
    order = np.arange(len(world.train))
    held_out = order % 10 == 9
    rng = np.random.default_rng(0)
    for side in (held_out, ~held_out):
        order[side] = rng.permutation(order[side])
    shuffled = world.with_(train=world.train[order], labels=world.labels[order])
    block = world.block(world.tests["test"])
    torch.testing.assert_close(fit(["cea"], shuffled)["cea"].score(block), fit(["cea"], world)["cea"].score(block))


def test_methods_for_non_negative_features_say_where_they_are_not(world, relu):
    for name in ("ash_p", "ash_b", "ash_s", "scale", "vra"):
        note = fit([name], world)[name].note_
        assert note.startswith("published for non-negative features; ")
        assert note.endswith(" % of the entries are negative")
        assert len(note) < 80
        assert fit([name], relu)[name].note_ is None


def test_negative_share_counts_entries():
    share = NegativeShare()
    for row in ([-1.0, 0.0], [-0.0, 2.0], [-3.0, -4.0], [5.0, 6.0]):
        share.update(Block(torch.tensor([row])))
    assert share.finalize() == pytest.approx(3 / 8)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_feature_spread_merges(world, offset):
    x = torch.from_numpy(world.train).double() + offset
    parts = [FeatureSpread() for _ in range(3)]
    for i, rows in enumerate(x.float().split(37)):
        parts[i % 2].update(Block(rows))
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    parts[2].merge(FeatureSpread())
    spread = parts[2].finalize()
    torch.testing.assert_close(spread.mean, x.float().double().mean(dim=0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(spread.std, x.float().double().std(dim=0, correction=0), rtol=1e-9, atol=1e-12)


def test_several_quantiles_take_the_passes_of_one(world):
    def drive(search):
        passes, answer = 0, None
        while True:
            try:
                wanted = search.send(answer)
            except StopIteration as end:
                return passes, end.value
            passes += 1
            several = wanted if isinstance(wanted, tuple) else (wanted,)
            for statistic in several:
                for block in world.blocks(100):
                    statistic.update(block)
            values = tuple(statistic.finalize() for statistic in several)
            answer = values if isinstance(wanted, tuple) else values[0]

    levels = (0.001, 0.5, 0.999)
    passes, found = drive(entry_quantiles(*levels))
    assert passes == 2
    assert list(found) == [drive(entry_quantile(level))[1] for level in levels]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ash_p", {"percentile": 101.0}),
        ("scale", {"percentile": -1.0}),
        ("vra", {"low": 0.9, "high": 0.1}),
        ("vra", {"low": 0.5, "high": 1.5}),
        ("vra", {"rows": 0}),
        ("bfact", {"quantile": 95.0}),
        ("bfact", {"order": 0}),
        ("bats", {"lam": 0.0}),
        ("optfs", {"bins": 0}),
        ("optfs", {"tail": 0.5}),
        ("cea", {"quantile": 99.9}),
    ],
)
def test_parameters_are_checked(name, params):
    with pytest.raises(UsageError, match=name):
        create_score(name, params)
