"""Scores by nearest rows against what the authors' programs give (`published_nearest.md`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.parity.case import golden_world
from tests.worlds import fit

SETS = ("val", "blend_a", "blend_b")

PARAMS = {"knn_coreset": {"coreset": 0.1}, "mean_shifted": {}, "cfood": {}, "combood": {}}


@pytest.fixture(scope="module")
def published():
    with np.load(Path(__file__).with_name("published_nearest.npz")) as arrays:
        return {name: values.astype(np.float64) for name, values in arrays.items()}


@pytest.mark.parametrize("name", PARAMS)
def test_every_row_agrees_with_the_authors_program(published, name):
    world = golden_world("relu48")
    score = fit([name], world, block=257, **{name: PARAMS[name]})[name]
    scale = np.concatenate([published[f"{name}/{part}"] for part in SETS]).std()
    for part in SETS:
        found = score.score(world.block(world.tests[part])).double().numpy()
        np.testing.assert_allclose(found, published[f"{name}/{part}"], rtol=0, atol=2e-5 * scale)
