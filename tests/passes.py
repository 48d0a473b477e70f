"""Drawn networks and pictures as recipes of views see them."""

from __future__ import annotations

from contextlib import nullcontext

import torch

import moodbench
from moodbench.models.recipes.base import create_recipe
from moodbench.models.recipes.seen import Pass
from moodbench.views import ChangedChoice

TWELVE_BLOCKS = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "num_heads": 2, "depth": 12}
"""Arguments of a small ViT."""


class Plain:
    """A transform that changes nothing."""

    record = {"size": 96, "mean": [0, 0, 0], "std": [1, 1, 1]}  # noqa: RUF012


def seen_by(network, images):
    """Return the pass of pictures through a network of timm or torchvision."""
    backbone = moodbench.Backbone.from_module(network, Plain())
    for weight in network.parameters():
        weight.requires_grad_(False)
    head = torch.from_numpy(backbone.head.weight), torch.from_numpy(backbone.head.bias)
    return Pass(backbone, images, torch.arange(len(images)), head, nullcontext, torch.contiguous_format)


def made(name, seen):
    """Return what the view `name` makes of a pass, which is traced anew for it."""
    recipe = create_recipe(ChangedChoice.parse(name))
    seen.__dict__.pop("_traced", None)
    seen.watching = recipe.watches(seen.network)
    with torch.no_grad():
        return recipe.compute(seen)
