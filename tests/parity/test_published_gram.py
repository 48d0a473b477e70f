"""The score on Gram matrices against what the published implementation gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moodbench.scores.base import create_score
from moodbench.scores.machinery.passes import fit_scores
from tests.parity.case import golden_world

SETS = ("val", "blend_a", "blend_b")


def test_every_row_agrees_with_the_published_implementation():
    with np.load(Path(__file__).parent / "published_gram.npz") as arrays:
        expected = np.concatenate([arrays[f"gram/{part}"].astype(np.float64) for part in SETS])
    world = golden_world("relu48")
    fitted, missing = fit_scores({"gram": create_score("gram")}, world.facts(), lambda: world.blocks(257))
    assert not missing
    found = np.concatenate([fitted["gram"].score(world.block(world.tests[part])).double().numpy() for part in SETS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * expected.std())
