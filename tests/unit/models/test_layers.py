"""What layers a network offers, how they are pooled, and that hooks see what timm returns."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from moodbench.errors import ModelError, UnknownNameError
from moodbench.models.layers import Taps, choose_layers, layer_names
from moodbench.views import LayerChoice

ALL = LayerChoice.parse("all")
SIZE = {"test_vit": 32, "test_vit2": 64, "test_resnet": 64, "test_convnext": 64, "test_efficientnet": 64}


def network_of(name, **args):
    size = {"img_size": SIZE[name]} if "vit" in name else {}
    torch.manual_seed(0)
    return timm.create_model(name, **size, **args).eval()


def pictures(name, count=3):
    return torch.randn(count, 3, SIZE[name], SIZE[name], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pool", ["model", "cls", "mean", "std"])
@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_resnet", "test_convnext", "test_efficientnet"])
def test_a_layer_is_what_timm_returns(name, pool):
    network, images = network_of(name), pictures(name)
    if pool == "cls" and name != "test_vit":
        with pytest.raises(ModelError, match="has no class token"):
            choose_layers(network, ALL, pool)
        return
    layers = choose_layers(network, ALL, pool)
    with torch.inference_mode():
        with Taps(network, layers).reading() as read:
            network(images)
        if "vit" in name:
            taken = network.forward_intermediates(
                images, intermediates_only=True, output_fmt="NLC", return_prefix_tokens=True
            )
            tokens = layers[0].pool == "cls"
            places = [patches for patches, _ in taken]
            wanted = [prefix[:, 0] for _, prefix in taken] if tokens else [pooled(one, pool) for one in places]
        else:
            maps = network.forward_intermediates(images, intermediates_only=True)
            wanted = [pooled(values.flatten(2).mT, pool) for values in maps]
    assert [layer.name for layer in layers] == layer_names(network)
    for own, other in zip(read, wanted, strict=True):
        assert own.dtype == torch.float32
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)
    assert Taps(network, layers).check(images) == [values.shape[1] for values in wanted]


def pooled(places, pool):
    """Return the mean over places (B, N, D), or the standard deviation as the mean of squares has it."""
    mean, count = places.mean(1), places.shape[1]
    if pool != "std":
        return mean
    return ((places - mean[:, None]).square().sum(1) / (count - 1)).sqrt()


def test_a_single_place_has_no_deviation():
    network = network_of("test_resnet")
    network.layer4.append(torch.nn.AdaptiveAvgPool2d(1))
    layers = choose_layers(network, LayerChoice.parse("layer4"), "std")
    assert [layer.view for layer in layers] == ["layer-layer4-std"]
    with pytest.raises(ModelError, match=r"'layer4' .* gives numbers that are not finite"):
        Taps(network, layers).check(pictures("test_resnet"))


def test_reading_layers_leaves_the_pass_as_it_was():
    network, images = network_of("test_vit"), pictures("test_vit")
    with torch.inference_mode():
        before = network(images)
        with Taps(network, choose_layers(network, ALL)).reading():
            during = network(images)
    torch.testing.assert_close(before, during, rtol=0, atol=0)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_models_own_pool_has_no_part_in_the_name():
    by_token, by_mean = network_of("test_vit"), network_of("test_vit", global_pool="avg")
    last = LayerChoice.parse("every:99")
    assert [layer.view for layer in choose_layers(by_token, last)] == ["layer-blocks.5"]
    assert [layer.view for layer in choose_layers(by_token, last, "cls")] == ["layer-blocks.5"]
    assert [layer.view for layer in choose_layers(by_token, last, "mean")] == ["layer-blocks.5-mean"]
    assert [layer.view for layer in choose_layers(by_mean, last, "mean")] == ["layer-blocks.5"]
    assert [layer.view for layer in choose_layers(by_mean, last, "cls")] == ["layer-blocks.5-cls"]


def test_a_pool_that_fits_the_last_layer_alone():
    network = network_of("test_vit", global_pool="map", class_token=False)
    with pytest.raises(ModelError, match="pools its last layer with 'map'") as error:
        choose_layers(network, ALL)
    assert error.value.fix == "--pool mean"
    assert choose_layers(network, ALL, "mean")[0].view == "layer-blocks.0-mean"


def test_layers_that_a_network_does_not_have():
    with pytest.raises(UnknownNameError, match=r"there is no layer 'blocks\.6'"):
        choose_layers(network_of("test_vit"), LayerChoice.parse("blocks.6"))
    for option in ("--layers", "--view-layers"):
        with pytest.raises(ModelError, match="Sequential does not offer its layers") as error:
            choose_layers(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), ALL, option=option)
        assert error.value.fix is not None
        assert error.value.fix.startswith(f"leave {option} out")


class Twice(nn.Module):
    """A network that runs a layer twice, which `forward_intermediates` does not say."""

    feature_info = ({"module": "conv", "num_chs": 3, "reduction": 1},)

    def __init__(self, factor):
        super().__init__()
        self.conv, self.factor = nn.Conv2d(3, 3, 1), factor

    def forward_features(self, x):
        return self.conv(self.conv(x)) if self.factor == 2 else self.conv(x)

    def forward_intermediates(self, x, norm=False, intermediates_only=True):
        return [self.factor * self.conv(x)]


@pytest.mark.parametrize(("factor", "why"), [(2, "ran 2 times in one pass"), (3, "differs from forward_intermediates")])
def test_a_layer_that_hooks_cannot_read_is_refused(factor, why):
    network = Twice(factor)
    with pytest.raises(ModelError, match=f"the layer 'conv' of Twice cannot be read in the forward pass: it {why}"):
        Taps(network, choose_layers(network, ALL)).check(torch.ones(1, 3, 4, 4))


def test_the_record_of_a_layer():
    layers = choose_layers(network_of("test_resnet"), ALL)
    noted = {"name": "layer4", "index": 4, "count": 5, "pool": "mean", "norm": False}
    assert layers[-1].noted == {"layer": noted}
