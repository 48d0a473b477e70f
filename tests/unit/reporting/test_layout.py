"""Two columns of pictures: everything is there once, in order, and both end as close together as they can."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from moodbench.reporting.layout import MOST, two_columns

HEIGHTS = st.lists(st.integers(1, 1000), max_size=MOST + 6)


@given(HEIGHTS)
def test_every_item_is_in_one_column_and_the_first_on_the_left(heights):
    numbers = [*range(len(heights))]
    left, right = two_columns(numbers, heights)
    assert sorted(left + right) == numbers
    assert (left, right) == (sorted(left), sorted(right))
    assert left[:1] == numbers[:1]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=7))
def test_the_columns_are_as_equal_as_can_be(heights):
    left, right = two_columns(heights, heights)
    apart = min(abs(sum(sign * h for sign, h in zip(signs, heights, strict=True))) for signs in _signs(len(heights)))
    assert abs(sum(left) - sum(right)) == apart


@given(HEIGHTS)
def test_no_column_is_longer_than_the_other_by_more_than_a_picture(heights):
    left, right = two_columns(heights, heights)
    assert abs(sum(left) - sum(right)) <= max(heights, default=0)


def _signs(count: int) -> list[tuple[int, ...]]:
    return [*product((1, -1), repeat=count)]
