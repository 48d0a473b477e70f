"""Chance in scores: which have a seed, what it moves, and that the numbers of seed 0 are what they were."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, create_score
from tests.worlds import fit, make_world

ROWS = {
    "kmeans": 60,
    "knn_coreset": 60,
    "cfood": 60,
    "combood": 60,
    "heat": 60,
    "heat_el": 60,
    "heat_sum": 60,
    "iforest": 60,
    "ocsvm": 60,
    "lof": 60,
    "vra": 60,
    "nac": 60,
    "nac_last": 60,
    "temp_scaling": 20,
    "adascale_a": 20,
    "adascale_l": 20,
    "weiper_kld": 60,
}
"""Scores of a sample, and one that does not hold every row of the world."""

SEEDED = sorted({*ROWS, "corp", "neglabel", "rpd", "weiper", "random"})

IN_STREAMS = ["adaneg", "oodd", "tanl"]
"""Whose seed draws the order of a stream, and of groups that decide little: `test_transductive.py` sees to that."""


@pytest.fixture(scope="module")
def world():
    """A third of the labels are wrong: where a head is never wrong, no temperature is the best."""
    world = make_world(3)
    wrong = np.random.default_rng(3).random(len(world.labels)) < 1 / 3
    return world.with_(labels=np.where(wrong, (world.labels + 1) % 5, world.labels))


def values(world, name, rows=None, **params):
    score = fit([name], world, **{name: params | ({} if rows is None else {"rows": rows})})[name]
    return score.score(world.block(world.tests["test"])).double().numpy()


def test_these_scores_have_a_seed():
    assert sorted(name for name in SCORES if SCORES.get(name).has_seed()) == sorted([*SEEDED, *IN_STREAMS])
    assert {create_score(name).seed for name in SEEDED} == {0}


@pytest.mark.parametrize("name", [*SEEDED, *IN_STREAMS])
def test_the_docstring_says_what_the_seed_draws(name):
    text = SCORES.get(name).__doc__
    assert "seed : int, default=0\n" in text.partition("Attributes")[0]


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_repeats_and_another_gives_other_numbers(world, name):
    first, again, other = (values(world, name, ROWS.get(name), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", SEEDED)
def test_no_seed_is_seed_0(world, name):
    np.testing.assert_array_equal(values(world, name), values(world, name, seed=0))


def test_scores_without_a_seed_draw_nothing():
    """Whoever takes a random sample or draws numbers has to have the parameter."""
    draws = re.compile(
        r"\b(Sample|chosen_rows|priority|Fourier|plus_plus|manual_seed|default_rng|RandomState|randn?)\("
    )
    for name in set(SCORES) - {*SEEDED, *IN_STREAMS}:
        assert not draws.search(inspect.getsource(SCORES.get(name))), name


@pytest.mark.parametrize(
    ("value", "message"), [(-1, "at least 0, got -1"), ("2.5", "whole number"), (2**32, "at most")]
)
def test_a_seed_is_a_whole_number_from_0(value, message):
    with pytest.raises(UsageError, match=message):
        create_score("kmeans", {"seed": value})
