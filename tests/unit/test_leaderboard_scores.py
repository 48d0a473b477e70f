"""What the battery does not ask of scores from OpenOOD's leaderboard: their parameters, ties, and identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UsageError
from moodbench.scores import excel
from moodbench.scores.actsub import PartLengths, RestMean, head_vectors, rest_of
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.scores.excel import RankLevels
from moodbench.scores.machinery import perturbed
from moodbench.scores.machinery.passes import fit_scores
from moodbench.scores.machinery.perturbed import histograms
from moodbench.scores.machinery.vectorised import row_order
from moodbench.scores.ras import MeanOfSorted
from moodbench.scores.weiper import MeanHistograms, Ranges, _Part
from tests.parity.cases_leaderboard import ora
from tests.parity.hard_worlds import hard_world
from tests.worlds import CannotFitError, World, fit, make_world


@pytest.fixture(scope="module")
def world():
    return make_world()


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, 3e38, -3e38, np.inf, -np.inf]), min_size=1))
def test_rows_are_ordered_as_by_a_stable_sort(entries):
    values = torch.tensor([entries, entries[::-1]], dtype=torch.float32)
    np.testing.assert_array_equal(row_order(values), np.argsort(values.numpy(), axis=1, kind="stable"))


def test_ras_sees_nothing_of_a_row_but_its_order(world):
    score = fit(["ras"], world)["ras"]
    rows = world.tests["ood"][:20]
    stretched = np.sinh(rows).astype(np.float32)  # rising, so the order stays
    same = score.score(world.block(rows)), score.score(world.block(stretched))
    torch.testing.assert_close(*same)


def test_ras_ranks_the_first_of_equal_entries_lowest(world):
    score = fit(["ras"], world)["ras"]
    shaped = score.shape(world.block(np.zeros((1, world.train.shape[1]), np.float32)))
    torch.testing.assert_close(shaped[0], score.profile_)


@pytest.mark.parametrize("aggregation", ["max", "mean", "min"])
@pytest.mark.parametrize("classes", [2, 5, 10])
def test_ora_aggregates_angles_as_defined(aggregation, classes):
    world = hard_world(classes, 1.0)
    fitted, _ = fit_scores(
        {"ora": create_score("ora", {"aggregation": aggregation})}, world.facts(), lambda: world.blocks(97)
    )
    rows = world.tests["ood"][:40]
    inputs = [array.astype(np.float64) for array in (world.weight, world.bias, world.train)]
    expected = ora(*inputs, world.labels, rows.astype(np.float64), aggregation)
    found = fitted["ora"].score(world.block(rows)).double().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * expected.std())


def test_ora_leaves_out_what_has_no_boundary_or_no_mean(world):
    twice = world.with_(weight=world.weight[[0, 1, 2, 3, 4, 4]], bias=world.bias[[0, 1, 2, 3, 4, 4]])
    rows = world.tests["ood"]
    for aggregation in ("max", "min"):
        params = {"ora": {"aggregation": aggregation}}
        here, there = (fit(["ora"], one, **params)["ora"].score(one.block(rows)) for one in (world, twice))
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-5)
    empty = fit(["ora"], world.with_(labels=np.where(world.labels == 2, 3, world.labels)))["ora"]
    assert empty.note_ == "1 of 5 classes have no ID train rows and are left out"
    with pytest.raises(UsageError, match="one of max, mean, min"):
        create_score("ora", {"aggregation": "median"})


def test_logitgap_of_one_is_the_margin_and_of_all_the_distance_from_the_mean(world):
    block = world.block(world.tests["ood"])
    one, every, margin = (
        create_score(name, params).score(block)
        for name, params in (("logitgap", {"top": 1}), ("logitgap", {}), ("margin", {}))
    )
    torch.testing.assert_close(one, margin)
    classes = block.logits.shape[1]
    torch.testing.assert_close(every, (block.max_logit - block.logits.mean(dim=1)) * classes / (classes - 1))


def test_logitgap_needs_two_classes(world):
    with pytest.raises(UsageError, match="top >= 1"):
        create_score("logitgap", {"top": 0})
    lonely = world.with_(weight=world.weight[:1], bias=world.bias[:1], labels=np.zeros_like(world.labels))
    _, missing = fit_scores({"logitgap": create_score("logitgap")}, lonely.facts(), lambda: lonely.blocks(64))
    assert missing["logitgap"] == "a gap needs two classes"


@given(st.integers(1, 30), st.integers(2, 12), st.floats(-50, 50), st.floats(0, 100))
def test_histograms_are_those_of_numpy(numbers, bins, low, width):
    values = torch.randn(4, numbers, generator=torch.Generator().manual_seed(numbers), dtype=torch.float64) * 30
    high = low + width + 1e-3
    expected = [np.histogram(row, bins=bins, range=(low, high))[0] for row in values.numpy()]
    np.testing.assert_array_equal(histograms(values, (low, high, bins)), expected)


def test_histograms_count_both_ends_and_nothing_outside():
    values = torch.tensor([[0.0, 1.0, 4.0, 4.1, -0.1, 3.0], [7.0, 7.0, 7.0, 7.0, 7.0, 7.0]])
    assert histograms(values, (0, 4, 4)).tolist() == [[1, 1, 0, 2], [0, 0, 0, 0]]
    assert histograms(values, (7, 7, 3)).tolist() == [[0, 0, 0], [6, 0, 0]]


def test_weiper_without_distance_is_msp(world):
    block = world.block(world.tests["ood"])
    params = {"weiper": {"distance": 0, "repeats": 3}}
    found, plain = fit(["weiper"], world, **params)["weiper"].score(block), create_score("msp").score(block)
    torch.testing.assert_close(found, plain.double(), rtol=1e-5, atol=1e-6)


def test_weiper_keeps_the_order_of_confident_rows(world):
    block = world.block(np.stack([world.train[0] * scale for scale in (1, 1.3, 1.6)]))
    values = fit(["weiper"], world, weiper={"distance": 0.0})["weiper"].score(block)
    assert (values.diff() > 0).all()
    assert values.min() > 1 - 1e-3


def test_perturbed_rows_of_the_head_lie_as_far_off_as_they_say(world):
    heads = fit(["weiper"], world, weiper={"distance": 0.5, "repeats": 4})["weiper"].heads_
    weight = torch.from_numpy(world.weight)
    off = torch.linalg.vector_norm(heads.weight - weight, dim=2) / torch.linalg.vector_norm(weight, dim=1)
    torch.testing.assert_close(off, torch.full_like(off, 0.5))
    assert len(heads.weight.unique(dim=0)) == 4


def test_weiper_kld_fits_on_a_share_of_the_rows(world):
    rows = world.block(world.tests["ood"])
    every, some = (fit(["weiper_kld"], world, weiper_kld={"rows": n})["weiper_kld"] for n in (400, 100))
    assert not torch.equal(every.means_, some.means_)
    assert np.corrcoef(every.score(rows), some.score(rows))[0, 1] > 0.95


def test_heads_that_would_not_fit_into_memory_are_refused(world, monkeypatch):
    monkeypatch.setattr(perturbed, "MOST_FLOATS", 1000)
    params = {"weiper": create_score("weiper", {"repeats": 9})}
    _, missing = fit_scores(params, world.facts(), lambda: world.blocks(64))
    assert missing["weiper"] == "9 heads of 5 x 24 weights take more memory than perturbed heads may; 8 fit"


@pytest.mark.parametrize(
    ("name", "value"), [("repeats", 0), ("distance", -1), ("bins", 1), ("smoothing", 0), ("rows", 0)]
)
def test_weiper_kld_refuses_what_it_cannot_use(name, value):
    with pytest.raises(UsageError, match=name):
        create_score("weiper_kld", {name: value})


def test_excel_keeps_to_the_ranks_that_fit(world, monkeypatch):
    monkeypatch.setattr(excel, "MOST_COUNTS", 60)
    score = fit(["excel"], world)["excel"]
    assert score.levels_.shape == (5, 2, 5)
    assert score.note_ == "2 of 4 ranks count: more would not fit into memory"
    two = fit(["excel"], world, excel={"ranks": 2})["excel"]
    assert two.note_ is None
    torch.testing.assert_close(two.levels_, score.levels_)
    monkeypatch.setattr(excel, "MOST_COUNTS", 20)
    with pytest.raises(CannotFitError, match="do not fit into memory"):
        fit(["excel"], world)


def test_excel_gives_ranks_that_no_row_had_the_lowest_worth():
    logits = torch.tensor([[9.0, 2, 1, 0]] * 39 + [[9.0, 1, 2, 0]])
    world = World(np.eye(4, dtype=np.float32), np.zeros(4, np.float32), logits.numpy(), np.zeros(40, np.int64), {})
    score = fit(["excel"], world, excel={"upper": 3.0})["excel"]
    seen, rare, never, unknown = score.score(Block(torch.zeros(4, 4), torch.tensor(RANKINGS))).tolist()
    assert seen == pytest.approx(0.2 * 9 + 0.8 / 4 * 30)
    assert rare == pytest.approx(0.2 * 9 + 0.8 / 4 * (-1 - 1 + 10))
    assert never == pytest.approx(0.2 * 9 + 0.8 / 4 * (-10 + 10 - 10))
    assert unknown == pytest.approx(0.2 * 9 + 0.8 / 4 * -30)


RANKINGS = [[9.0, 2, 1, 0], [9, 1, 2, 0], [9, 0, 1, 2], [0, 9, 1, 2]]
"""Logits that rank as most rows of ID train, as one of them, at two ranks as none, and with a prediction of no row."""


def test_statistics_merge(world):
    """Halves that are merged give what all rows give: exactly where whole numbers are counted."""
    blocks = world.blocks(50)
    vectors = head_vectors(torch.from_numpy(world.weight))
    heads = fit(["weiper"], world, weiper={"repeats": 3})["weiper"].heads_
    part = _Part(1.0, 0)
    makers = (
        MeanOfSorted,
        lambda: RankLevels(5, 4, 5.0),
        lambda: PartLengths(vectors),
        lambda: RestMean(vectors.float()),
        lambda: Ranges("name", heads, part),
        lambda: MeanHistograms("name", heads, part, (-9.0, 9.0, 20), (-99.0, 99.0, 20)),
    )
    for make in makers:
        whole, left, right = make(), make(), make()
        for number, block in enumerate(blocks):
            whole.update(block)
            (left if number < 3 else right).update(block)
        left.merge(make())
        left.merge(right)
        torch.testing.assert_close(left.finalize(), whole.finalize())


def test_actsub_splits_rows_where_both_parts_are_equally_long(world):
    wide = world.with_(
        weight=np.random.default_rng(1).normal(size=(40, 24)).astype(np.float32), bias=np.zeros(40, np.float32)
    )
    score = fit(["actsub"], wide)["actsub"]
    x = torch.from_numpy(wide.train)
    inside = torch.linalg.vector_norm(x @ score.basis_, dim=1).mean()
    outside = torch.linalg.vector_norm(rest_of(wide.block(wide.train), score.basis_).features, dim=1).mean()
    assert score.note_ is None
    assert 1 < score.basis_.shape[1] < 23
    assert float(inside) == pytest.approx(float(outside), rel=0.2)


def test_actsub_without_the_rest_is_scale_of_the_decisive_part(world):
    rows = world.block(world.tests["ood"])
    score = fit(["actsub"], world, actsub={"lam": 0.0, "percentile": 85.0})["actsub"]
    basis = score.basis_
    inside = world.block((rows.features @ basis @ basis.T).numpy())
    plain = fit(["scale"], world)["scale"].score(inside)
    torch.testing.assert_close(score.score(rows).float(), plain, rtol=1e-4, atol=1e-4)


def test_actsub_stays_finite_for_rows_of_id_train(world):
    again = world.with_(train=np.repeat(world.train[:30], 12, axis=0), labels=np.repeat(world.labels[:30], 12))
    values = fit(["actsub"], again)["actsub"].score(again.block(again.train[:12]))
    assert torch.isfinite(values).all()


@pytest.mark.parametrize("params", [{"lam": -1.0}, {"k": 0}, {"decisive": -1}, {"percentile": 101}])
def test_actsub_refuses_what_it_cannot_use(params):
    with pytest.raises(UsageError, match="actsub"):
        create_score("actsub", params)


@pytest.mark.parametrize("params", [{"alpha": 2.0}, {"upper": 0.5}, {"ranks": -1}])
def test_excel_refuses_what_it_cannot_use(params):
    with pytest.raises(UsageError, match=next(iter(params))):
        create_score("excel", params)
