"""The local and the global term of GL-MCM against what the authors' program gives on the same small tower."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch

from moodbench.errors import ModelError, UsageError
from moodbench.models.clip.image import Embeddings
from moodbench.models.recipes.base import create_recipe
from moodbench.models.recipes.seen import Pass
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.scores.machinery.passes import fit_scores
from moodbench.views import ChangedChoice
from tests import clips
from tests.parity.case import golden_world


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    clips.known_to_open_clip(tmp_path_factory.mktemp("clip"))
    return clips.network(force_quick_gelu=True).visual


def seen_by(tower, images, weight):
    pictures = SimpleNamespace(network=tower, compute=lambda network, x: (Embeddings()(network, x), None))
    head = weight, torch.zeros(len(weight))
    return Pass(pictures, images, torch.arange(len(images)), head, nullcontext, torch.contiguous_format)


def drawn():
    images = np.random.default_rng(7).normal(size=(24, 3, 32, 32)).astype(np.float32)
    texts = np.random.default_rng(8).normal(size=(10, 24)).astype(np.float32)
    return torch.from_numpy(images), torch.from_numpy(texts)


@pytest.mark.parametrize("temperature", [1, 0.1])
def test_every_picture_agrees_with_the_authors_program(tower, temperature):
    images, texts = drawn()
    weight = 49 * texts / texts.norm(dim=1, keepdim=True)
    recipe = create_recipe(ChangedChoice("gl_mcm", (("temperature", str(temperature)),)))
    with torch.no_grad():
        seen = seen_by(tower, images, weight)
        local = recipe.compute(seen)
        features = seen.forward()
    with np.load(Path(__file__).parent / "published_glmcm.npz") as arrays:
        theirs = {name: -arrays[f"{name}_{temperature}"].astype(np.float64) for name in ("l_mcm", "gl_mcm")}
    assert local.shape == (24, 1)
    np.testing.assert_allclose(local[:, 0].numpy(), theirs["l_mcm"], rtol=0, atol=1e-4 * theirs["l_mcm"].std())
    block = Block(features, features @ weight.T, views={recipe.view: Block(local)})
    facts = replace(golden_world("relu48").facts(), weight=weight, bias=torch.zeros(10), views={recipe.view: 1})
    score = create_score("gl_mcm", {"temperature": temperature, "weight": 0.5})
    fitted, missing = fit_scores({"gl_mcm": score}, facts, lambda: iter([block]))
    assert not missing
    found = fitted["gl_mcm"].score(block).numpy()
    np.testing.assert_allclose(found, theirs["gl_mcm"], rtol=0, atol=1e-4 * theirs["gl_mcm"].std())


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18"])
def test_other_networks_are_refused(name):
    network = timm.create_model(name, num_classes=3)
    with pytest.raises(ModelError, match="a vision transformer of open_clip") as error:
        create_recipe(ChangedChoice("gl_mcm")).check(network, None)
    assert type(network).__name__ in str(error.value)


def test_towers_of_open_clip_that_pool_otherwise_are_refused(tower):
    import open_clip

    resnet = open_clip.model.ModifiedResNet((1, 1, 1, 1), 24, 4, image_size=32, width=8)
    averaged = open_clip.transformer.VisionTransformer(32, 8, 32, 1, 2, 4.0, output_dim=24, pool_type="avg")
    for network in (resnet, averaged):
        with pytest.raises(ModelError, match="that pools its class token"):
            create_recipe(ChangedChoice("gl_mcm")).check(network, None)


def test_a_tower_of_one_block():
    import open_clip

    tower = open_clip.transformer.VisionTransformer(32, 8, 32, 1, 2, 4.0, output_dim=24).eval()
    images, texts = drawn()
    with torch.no_grad():
        made = create_recipe(ChangedChoice("gl_mcm")).compute(seen_by(tower, images, texts))
    assert made.shape == (24, 1)
    assert bool((made > 0.1).all())


def test_parameters():
    with pytest.raises(UsageError, match=r"must lie between 0\.001 and 1e\+06"):
        create_recipe(ChangedChoice("gl_mcm", (("temperature", "0"),)))
    for params in ({"temperature": 0}, {"weight": -1}):
        with pytest.raises(UsageError, match="'gl_mcm' needs"):
            create_score("gl_mcm", params)
