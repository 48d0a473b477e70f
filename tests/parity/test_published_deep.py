"""Scores that read several layers against what the published implementations give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moodbench.scores.base import create_score
from moodbench.scores.machinery.passes import fit_scores
from tests.parity.case import golden_world

SETS = ("val", "blend_a", "blend_b")

PUBLISHED = {
    "maha_layers": ("maha_layers", {}, 2.0),
    "nac": ("nac", {"steepness": 2.0, "points": 100, "share": 0.05, "each": "layer3=3/50/0.02"}, 1.0),
}
"""Name in the file → score, parameters, and how many times ours is theirs."""


@pytest.fixture(scope="module")
def published():
    with np.load(Path(__file__).parent / "published_deep.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_agrees_with_the_published_implementation(published, name):
    score, params, factor = PUBLISHED[name]
    world = golden_world("relu48")
    fitted, missing = fit_scores({score: create_score(score, params)}, world.facts(), lambda: world.blocks(257))
    assert not missing
    expected = factor * np.concatenate([published[f"{name}/{part}"].astype(np.float64) for part in SETS])
    found = np.concatenate([fitted[score].score(world.block(world.tests[part])).double().numpy() for part in SETS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * expected.std())
