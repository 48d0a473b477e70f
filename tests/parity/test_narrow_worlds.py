"""Scores of features where all rows point nearly the same way: cosines above 0.999 with one another.

So it is where one entry is large in every row, as in transformers, and where features lie far from zero as a whole.
What tells rows apart is in the last bits of a float32 cosine, and not in those of the features.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moodbench.scores.base import SCORES
from tests.parity.cases import CASES
from tests.parity.differences import difference
from tests.parity.hard_worlds import hard_world
from tests.worlds import World

FEATURE_SCORES = sorted(name for name in CASES if not SCORES.get(name).needs & {"logits", "head"})


def moved_world(classes: int, offset: np.ndarray) -> World:
    """Return a hard world with an offset (D,) added to all features."""
    world = hard_world(classes, 1.0)
    tests = {name: rows + offset for name, rows in world.tests.items()}
    return replace(world, train=world.train + offset, tests=tests)


WORLDS = {
    "one large entry": moved_world(5, np.eye(1, 24, dtype=np.float32)[0] * 500),
    "far from zero": moved_world(5, 300 * np.random.default_rng(6).normal(size=24).astype(np.float32)),
}


@pytest.mark.parametrize("world", sorted(WORLDS))
@pytest.mark.parametrize("name", FEATURE_SCORES)
def test_rows_agree_with_the_plain_definition_where_all_point_the_same_way(name, world):
    assert difference(name, WORLDS[world]) is None
