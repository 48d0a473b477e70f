"""Scores of gradients with a closed form against what a published implementation gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moodbench.scores.base import create_score
from moodbench.scores.machinery.passes import fit_scores
from tests.parity.case import golden_world

SETS = ("val", "blend_a", "blend_b")

PUBLISHED = {
    "gradpca": ("gradpca", {}),
}
"""Name in the file → score and parameters."""


@pytest.fixture(scope="module")
def published():
    with np.load(Path(__file__).parent / "published_gradients.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_agrees_with_the_published_implementation(published, name):
    score, params = PUBLISHED[name]
    world = golden_world("relu48")
    fitted, missing = fit_scores({score: create_score(score, params)}, world.facts(), lambda: world.blocks(257))
    assert not missing
    expected = np.concatenate([published[f"{name}/{part}"].astype(np.float64) for part in SETS])
    found = np.concatenate([fitted[score].score(world.block(world.tests[part])).double().numpy() for part in SETS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * expected.std())
