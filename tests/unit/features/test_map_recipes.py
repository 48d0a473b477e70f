"""Recipes that read maps of a network and gradients at its layers: what plain loops give, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import moodbench
from moodbench.errors import ModelError, UsageError
from moodbench.features.network import Network
from moodbench.features.settings import Settings
from moodbench.models.recipes.base import create_recipe
from moodbench.views import ChangedChoice
from tests.extracting import arrays, run
from tests.networks import drawn_network, drawn_pictures
from tests.passes import TWELVE_BLOCKS, Plain, made, seen_by

SMALL_SWIN = {"img_size": 64, "embed_dim": 16, "depths": (1, 1, 1), "num_heads": (2, 2, 2), "window_size": 4}


def without_largest(matrix):
    u, s, v = np.linalg.svd(matrix.double().numpy())
    return torch.from_numpy(matrix.double().numpy() - s[0] * np.outer(u[:, 0], v[0])).float()


@pytest.mark.parametrize(("layers", "names"), [("last", ["layer4"]), ("previous", ["layer3"])])
def test_rankfeat_of_a_convolutional_network(layers, names):
    network, images = drawn_network("test_resnet"), drawn_pictures(3, 96)
    found = made(f"rankfeat:layers={layers}", seen_by(network, images))
    for image, features in zip(images, found, strict=True):
        with torch.no_grad():
            x = network.maxpool(network.act1(network.bn1(network.conv1(image[None]))))
            for name in ("layer1", "layer2", "layer3", "layer4"):
                x = getattr(network, name)(x)
                if name in names:
                    x = without_largest(x[0].flatten(1)).view_as(x)
        torch.testing.assert_close(features, x[0].mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_rankfeat_of_both_is_the_mean():
    seen = seen_by(drawn_network("test_resnet"), drawn_pictures(3, 96))
    one, other, both, published = (
        made(f"rankfeat:layers={n}", seen) for n in ("last", "previous", "both", "published")
    )
    torch.testing.assert_close(both, (one + other) / 2)
    assert torch.equal(published, both)


@pytest.mark.parametrize(
    ("name", "args", "size", "layer"),
    [
        ("vit_tiny_patch16_224", TWELVE_BLOCKS, 32, "blocks.10"),
        ("swin_tiny_patch4_window7_224", SMALL_SWIN, 64, "layers.1"),
    ],
)
def test_rankfeat_of_a_transformer_changes_the_block_before_the_last(name, args, size, layer):
    network, images = drawn_network(name, **args), drawn_pictures(2, size)
    seen = seen_by(network, images)
    found = made("rankfeat", seen)
    assert torch.equal(found, made("rankfeat:layers=previous", seen))

    def replace(module, inputs, output):
        return torch.stack([without_largest(one.reshape(-1, one.shape[-1])).view_as(one) for one in output])

    handle = network.get_submodule(layer).register_forward_hook(replace)
    try:
        wanted = seen.forward()
    finally:
        handle.remove()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    assert (found - seen.forward()).abs().max() > 1e-2


class Grouped(nn.Module):
    """A network with group normalisation and names of stages as torchvision has them."""

    def __init__(self, norm=lambda: nn.GroupNorm(2, 8), act=nn.ReLU):
        super().__init__()
        torch.manual_seed(0)
        for i in range(1, 5):
            layers = nn.Conv2d(3 if i == 1 else 8, 8, 3, padding=1), norm(), act()
            setattr(self, f"layer{i}", nn.Sequential(*layers))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))


def by_hand(network, image, names, of):
    """Return the gradient of a number of a picture at each named layer's output, (C, H, W)."""
    seen = {}
    handles = [
        network.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o))
        for name in names
    ]
    logits = network(image[None].clone().requires_grad_())
    for handle in handles:
        handle.remove()
    return [g[0] for g in torch.autograd.grad(of(logits), [seen[name] for name in names])]


def test_gaia_z_by_hand():
    network, images = Grouped(norm=lambda: nn.BatchNorm2d(8)), drawn_pictures(3, 16)
    found = made("gaia_z", seen_by(network, images))
    for image, row in zip(images, found, strict=True):
        gradients = by_hand(network, image, [f"layer{i}.1" for i in range(1, 5)], lambda logits: logits.max())
        wanted = torch.stack([(g != 0).float().mean((1, 2)).square().sum() / 32 for g in gradients])
        torch.testing.assert_close(row, wanted)


def test_gaia_of_group_normalisation_reads_the_last_stage():
    network, images = Grouped(), drawn_pictures(3, 16)
    seen = seen_by(network, images)
    z, a = made("gaia_z", seen), made("gaia_a", seen)
    for i, image in enumerate(images):
        (g,) = by_hand(network, image, ["layer4.1"], lambda logits: logits.max())
        torch.testing.assert_close(z[i], (g != 0).float().mean((1, 2)).square().mean()[None])
        features = seen.forward(image[None])[0].detach().requires_grad_()
        logs = torch.log_softmax(seen.logits(features[None])[0], dim=0)
        (outer,) = torch.autograd.grad(logs.sum(), features)
        on = (network.layer4[:2](network.layer3(network.layer2(network.layer1(image[None])))) > 0).float()[0]
        inner = on.mean((1, 2)) / 256  # features are means over 16 x 16 places
        torch.testing.assert_close(a[i], (inner.square().mean() / outer.abs().mean())[None], rtol=1e-4, atol=0)


def test_gaia_looks_before_the_activation_that_a_layer_has_inside():
    network, images = drawn_network("test_efficientnet"), drawn_pictures(2, 64)
    both = [layer for layer in network.modules() if isinstance(getattr(layer, "act", None), nn.SiLU)]
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in both)
    for layer in both:
        layer.act = nn.ReLU(inplace=True)
    found = made("gaia_z", seen_by(network, images))
    names = [f"{name}.drop" for name, layer in network.named_modules() if layer in both]
    norms = [name for name, layer in network.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in both:
        layer.act = nn.ReLU()  # what it returns can be asked for its own gradient, where nothing writes into it
    for image, row in zip(images, found, strict=True):
        gradients = by_hand(network, image, names, lambda logits: logits.max())
        wanted = {name: (g != 0).float().mean((1, 2)).square().sum() for name, g in zip(names, gradients, strict=True)}
        assert wanted
        channels = sum(network.get_submodule(name).num_features for name in norms)
        for i, name in enumerate(norms):
            if f"{name}.drop" in wanted:
                torch.testing.assert_close(row[i], wanted[f"{name}.drop"] / channels)


@pytest.mark.parametrize("name", ["rankfeat", "gaia_a", "gaia_z"])
def test_a_picture_does_not_depend_on_the_others_of_its_batch(name):
    network, images = drawn_network("test_resnet"), drawn_pictures(4, 64)
    together = made(name, seen_by(network, images))
    alone = torch.cat([made(name, seen_by(network, image[None])) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4 * float(together.abs().max()))


def checked(name, network, size):
    """Return the width of a view on a network, as an extraction finds it out."""
    backbone = moodbench.Backbone.from_module(network, Plain())
    asked = create_recipe(ChangedChoice.parse(name))
    asked.check(backbone.network, backbone.head)
    return Network(backbone, Settings("cpu"), 2, [asked]).check_views(drawn_pictures(2, size))


def test_widths():
    network = drawn_network("test_resnet")
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert checked("gaia_z", network, 64) == [norms]
    assert checked("rankfeat", network, 64) == [network.num_features]
    assert 0 < checked("gaia_a", network, 64)[0] < norms


@pytest.mark.parametrize(
    ("name", "network", "what"),
    [
        ("gaia_z", lambda: drawn_network("vit_tiny_patch16_224", **TWELVE_BLOCKS), "VisionTransformer has none"),
        ("gaia_a", lambda: drawn_network("vit_tiny_patch16_224", **TWELVE_BLOCKS), "VisionTransformer has none"),
        ("gaia_z", lambda: Grouped(norm=lambda: nn.BatchNorm2d(8), act=nn.SiLU), "no gradient at a layer .* is zero"),
        ("rankfeat", lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 5)), "Sequential does not name"),
    ],
)
def test_networks_that_do_not_fit_are_refused(name, network, what):
    with pytest.raises(ModelError, match=what):
        checked(name, network(), 32)


def test_extraction_makes_them(space):
    (done,) = run(space, view=["rankfeat", "rankfeat:layers=last"])
    assert list(done.views) == ["view-rankfeat-published", "view-rankfeat-last"]
    own, view, last = (arrays(one.file)["logits"] for one in (done, *done.views.values()))
    assert view.shape == last.shape == own.shape
    assert np.abs(view - own).max() > 1e-3
    assert np.abs(view - last).max() > 1e-3
    with pytest.raises(UsageError, match="must be published, last, previous or both, got first"):
        run(space, view="rankfeat:layers=first")
