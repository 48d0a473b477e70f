"""The numbers of the view ``gram``: row sums of Gram matrices between channels, picture by picture, written out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import moodbench
from moodbench.datasets.images import folder_images
from moodbench.errors import UnknownNameError, UsageError
from moodbench.features.cache import FeatureCache
from moodbench.models.recipes import gram
from tests.extracting import arrays, run

ROWS = (0, 7, 41)


def plainly(channels: np.ndarray, powers: int) -> np.ndarray:
    """Return the numbers of one picture's layer (D, places), orders one behind another, by whole Gram matrices."""
    found = []
    for order in range(1, powers + 1):
        raised = channels.astype(np.float64) ** order
        sums = np.array([sum(float(np.dot(mine, other)) for other in raised) for mine in raised])
        found.append(np.sign(sums) * np.abs(sums) ** (1 / order))
    return np.concatenate(found)


def computed(values, **network):
    recipe = gram.Gram("layer", powers=10)
    return recipe.compute(SimpleNamespace(network=SimpleNamespace(**network), output=lambda name: values)).numpy()


def test_patch_tokens_of_a_transformer(space, pictures):
    (done,) = run(space, view="gram:layer=blocks.1+blocks.3,powers=3", batch_size=5)
    assert list(done.views) == ["view-gram-blocks.1-powers3", "view-gram-blocks.3-powers3"]
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    source = folder_images(pictures / "train")
    for view, layer in zip(done.views.values(), ("blocks.1", "blocks.3"), strict=True):
        stored = arrays(view.file)["features"]
        kept = []
        handle = backbone.network.get_submodule(layer).register_forward_hook(
            lambda module, given, made, kept=kept: kept.append(made)
        )
        for i in ROWS:
            with torch.no_grad():
                backbone.network(backbone.transform(source.load(i))[None])
            patches = kept.pop()[0, backbone.network.num_prefix_tokens :].numpy()
            wanted = plainly(patches.T, 3)
            np.testing.assert_allclose(stored[i], wanted, rtol=1e-3, atol=2e-3 * np.abs(wanted).max())
        handle.remove()
        with FeatureCache(view.file) as cache:
            assert cache.classes is None
            assert cache.provenance["view"]["parameters"] == {"layer": layer, "powers": 3}


@pytest.mark.parametrize("signed", [True, False])
def test_channels_of_a_map_wherever_they_stand(signed, monkeypatch):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(5, 6, 4, 3)).astype(np.float32)
    maps = maps if signed else np.maximum(maps, 0)
    wanted = np.stack([plainly(one.reshape(6, -1), 10) for one in maps])
    assert (wanted < 0).any() == signed
    monkeypatch.setattr(gram, "AT_ONCE", 150)  # two pictures at a time
    np.testing.assert_allclose(computed(torch.from_numpy(maps)), wanted, rtol=1e-5)
    colours_last = torch.from_numpy(maps).permute(0, 2, 3, 1)
    np.testing.assert_allclose(computed(colours_last, output_fmt="NHWC"), wanted, rtol=1e-5)
    tokens = torch.from_numpy(maps).flatten(2).mT
    prefixed = torch.cat([torch.full((5, 2, 6), 9.0), tokens], dim=1)
    np.testing.assert_allclose(computed(prefixed, num_prefix_tokens=2), wanted, rtol=1e-5)


def test_a_vector_is_a_map_of_one_place():
    values = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    wanted = np.stack([plainly(one[:, None].numpy(), 10) for one in values])
    np.testing.assert_allclose(computed(values), wanted, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_no_power_is_too_large_or_too_small(scale):
    maps = torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(1)) * scale
    found = computed(maps)
    np.testing.assert_allclose(found / scale**2, computed(maps / scale), rtol=1e-4)


def test_what_cannot_be_is_refused(space):
    with pytest.raises(UnknownNameError, match=r"'blocks\.9'"):
        run(space, view="gram:layer=blocks.9")
    with pytest.raises(UsageError, match="must lie between 1 and 10, got 11"):
        run(space, view="gram:powers=11")
