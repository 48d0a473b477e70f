"""Scores by gradients at prototypes against what the authors' program gives (`published_prototype.md`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.parity.case import golden_world
from tests.worlds import fit

SETS = ("val", "blend_a", "blend_b")


def test_every_row_agrees_with_the_authors_program():
    world = golden_world("relu48")
    score = fit(["grood"], world, block=257)["grood"]
    with np.load(Path(__file__).with_name("published_prototype.npz")) as arrays:
        expected = {part: arrays[f"grood/{part}"].astype(np.float64) for part in SETS}
    scale = np.concatenate(list(expected.values())).std()
    for part in SETS:
        found = score.score(world.block(world.tests[part])).numpy()
        np.testing.assert_allclose(found, expected[part], rtol=0, atol=2e-5 * scale)
