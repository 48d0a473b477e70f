"""Scores whose numbers are made at extraction, from pictures to the score, against the published implementations."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

import moodbench
from moodbench.models.recipes.base import create_recipe
from moodbench.models.recipes.seen import Pass
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.views import ChangedChoice
from tests.networks import drawn_network, drawn_pictures

SMALL_VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "num_heads": 2, "depth": 12}

PUBLISHED = {
    "rankfeat": ("rankfeat", "test_resnet", {}, 96, 1),
    "rankfeat_vit": ("rankfeat", "vit_tiny_patch16_224", SMALL_VIT, 32, 1),
    "gaia_z": ("gaia_z", "test_resnet", {}, 96, 1),
    "gaia_a": ("gaia_a", "test_resnet", {}, 96, 9),
}
"""Name in the file → score and view, network, its arguments, size of pictures, how many times ours is theirs."""


class Plain:
    record = {"size": 96, "std": [1, 1, 1]}  # noqa: RUF012


def seen_by(network, images):
    """Return the pass of pictures through a network of timm."""
    backbone = moodbench.Backbone.from_module(network, Plain())
    for weight in network.parameters():
        weight.requires_grad_(False)
    head = torch.from_numpy(backbone.head.weight), torch.from_numpy(backbone.head.bias)
    return Pass(backbone, images, torch.arange(len(images)), head, nullcontext, torch.contiguous_format)


def made(name, seen):
    """Return what the view `name` makes of a pass."""
    with torch.no_grad():
        return create_recipe(ChangedChoice.parse(name)).compute(seen)


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
