"""Coarse products find every pair above a limit, whatever the processor, and single products are right."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.scores.machinery import coarse
from moodbench.scores.machinery.coarse import dots, left_side, pairs_above, right_side


def made(seed, rows, columns, scale, shift):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator) + shift
    return values * torch.exp(scale * torch.randn(rows, 1, generator=generator)), generator


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 999),
    columns=st.sampled_from([1, 3, 40, 300]),
    scale=st.sampled_from([0.0, 1.0, 3.0]),
    shift=st.sampled_from([0.0, 1.0, 30.0]),
    added=st.sampled_from([0.0, 1.0, 1e3]),
)
def test_no_pair_above_its_limit_is_missed(seed, columns, scale, shift, added):
    left, generator = made(seed, 40, columns, scale, shift)
    right, _ = made(seed + 1, 50, columns, scale, shift)
    u, v = (added * torch.randn(n, generator=generator, dtype=torch.float64) for n in (40, 50))
    exact = left.double() @ right.double().T + u[:, None] * v
    limits = exact.sort(dim=1).values[:, -2].float()
    found = pairs_above(left_side(left, u), right_side(right, v), limits)
    if found is None:  # many are within rounding
        return
    row, column = found
    assert torch.equal(row, row.sort().values)
    pairs = set(zip(row.tolist(), column.tolist(), strict=True))
    assert len(pairs) == len(row)
    wanted = (exact > limits.double()[:, None]).nonzero().tolist()
    assert len(wanted) >= 20
    assert set(map(tuple, wanted)) <= pairs


def test_few_others_are_found():
    left, _ = made(0, 200, 512, 0.0, 0.0)
    right, _ = made(1, 4000, 512, 0.0, 0.0)
    exact = left @ right.T
    limits = exact.topk(20, dim=1).values[:, -1]
    found = pairs_above(left_side(left), right_side(right), limits)
    assert found is not None
    assert 19 * 200 <= len(found[0]) <= 1.3 * 20 * 200


def test_long_rows_do_not_blur_what_is_found_for_short_ones():
    """Nearest rows by ``x · y - |y|²/2``, of lengths millions of times apart: one bound would choose all."""
    left, _ = made(0, 200, 256, 5.0, 0.0)
    right, _ = made(1, 3000, 256, 5.0, 0.0)
    halves = right.double().square().sum(dim=1) / 2
    exact = left.double() @ right.double().T - halves
    limits = exact.topk(5, dim=1).values[:, -1]
    found = pairs_above(left_side(left, torch.ones(200)), right_side(right, -halves), limits)
    assert found is not None
    chosen = set(zip(found[0].tolist(), found[1].tolist(), strict=True))
    assert {tuple(pair) for pair in (exact > limits[:, None]).nonzero().tolist()} <= chosen
    assert len(chosen) <= 4 * 5 * 200


@pytest.mark.parametrize("limit", [-torch.inf, torch.inf, torch.nan])
def test_limits_that_say_nothing_leave_it_to_the_usual_product(limit):
    rows, _ = made(0, 5, 8, 0.0, 0.0)
    assert pairs_above(left_side(rows), right_side(rows), torch.full((5,), limit)) is None


def test_many_pairs_are_left_to_the_usual_product():
    rows, _ = made(0, 50, 8, 0.0, 0.0)
    assert pairs_above(left_side(rows), right_side(rows), torch.zeros(50)) is None


def test_equal_rows_have_no_slack_to_hide_in():
    rows = torch.zeros(30, 16)
    others = torch.zeros(40, 16)
    others[7] = 1.0
    ones = torch.ones(30)
    found = pairs_above(left_side(rows, ones), right_side(others, others.sum(dim=1)), torch.full((30,), 8.0))
    assert found is not None
    assert found[0].tolist() == list(range(30))
    assert found[1].tolist() == [7] * 30


@pytest.mark.parametrize("sampled", [True, False])
def test_products_of_pairs_are_those_of_the_matrices_and_do_not_depend_on_the_others(sampled, monkeypatch):
    monkeypatch.setattr(coarse, "_can_sample", coarse._can_sample if sampled else lambda: False)
    left, generator = made(3, 60, 300, 1.0, 1.0)
    right, _ = made(4, 70, 300, 1.0, 1.0)
    row, column = (torch.rand(60, 70, generator=generator) < 0.3).nonzero().T
    found = dots(left, right, row, column)
    exact = (left.double() @ right.double().T)[row, column]
    size = torch.linalg.vector_norm(left, dim=1)[row] * torch.linalg.vector_norm(right, dim=1)[column]
    assert ((found - exact).abs() <= 300 * 2.0**-24 * size).all()
    one = torch.tensor([17])
    assert torch.equal(dots(left, right, row[one], column[one]), found[one])
    assert dots(left, right, row[:0], column[:0]).shape == (0,)
