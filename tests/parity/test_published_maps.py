"""Scores whose numbers are made at extraction, from pictures to the score, against the published implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moodbench.models.recipes.base import create_recipe
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.views import ChangedChoice
from tests.networks import drawn_network, drawn_pictures
from tests.passes import TWELVE_BLOCKS, made, seen_by

PUBLISHED = {
    "rankfeat": ("rankfeat", "test_resnet", {}, 96, 1),
    "rankfeat_vit": ("rankfeat", "vit_tiny_patch16_224", TWELVE_BLOCKS, 32, 1),
    "gaia_z": ("gaia_z", "test_resnet", {}, 96, 1),
    "gaia_a": ("gaia_a", "test_resnet", {}, 96, 9),
}
"""Name in the file → score and view, network, its arguments, size of pictures, how many times ours is theirs."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_picture_agrees_with_the_published_implementation(name):
    score, network, args, size, factor = PUBLISHED[name]
    seen = seen_by(drawn_network(network, **args), drawn_pictures(12, size))
    values = made(score, seen)
    recipe = create_recipe(ChangedChoice.parse(score))
    view = Block(values, None if recipe.numbers else seen.logits(values))
    found = create_score(score).score(Block(seen.traced.detach(), views={recipe.view: view}))
    with np.load(Path(__file__).parent / "published_maps.npz") as arrays:
        expected = arrays[name].astype(np.float64)
    np.testing.assert_allclose(factor * found.double().numpy(), expected, rtol=0, atol=1e-4 * expected.std())
