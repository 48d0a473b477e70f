"""Every way in which networks classify, and what of it is one linear head."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.errors import ModelError
from moodbench.models.head import affine, kind_of, read_classifier
from moodbench.models.load import load_model
from tests.models.census import agreement, redraw

# -- layers that are one linear function --------------------------------------------------------------------------


class Wrapper(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, module in parts.items():
            setattr(self, name, module)


class FakeTimm(nn.Module):
    def __init__(self, classifier, num_classes=3):
        super().__init__()
        self.num_classes = num_classes
        self.get_classifier = lambda: classifier


def head_read(classifier, **args):
    return read_classifier(FakeTimm(classifier, **args), "odd").head


def test_classifiers_that_are_one_linear_layer():
    linear = nn.Linear(4, 3)
    for classifier in (linear, Wrapper(fc=linear), Wrapper(drop=nn.Dropout(), l=linear), nn.Sequential(linear)):
        head = head_read(classifier)
        np.testing.assert_array_equal(head.weight, linear.weight.detach().numpy())
        np.testing.assert_array_equal(head.bias, linear.bias.detach().numpy())
    assert head_read(nn.Linear(4, 3, bias=False)).bias.tolist() == [0, 0, 0]
    conv = nn.Conv2d(4, 3, 1)
    for classifier in (conv, Wrapper(pool=nn.AdaptiveAvgPool2d(1), fc=conv)):
        assert head_read(classifier).weight.tolist() == conv.weight.flatten(1).tolist()
    head = head_read(nn.Linear(4, 3).bfloat16())
    assert (head.weight.dtype, head.bias.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False), nn.BatchNorm1d(4, eps=0.1)])
def test_a_batch_norm_before_the_linear_layer_is_folded(norm):
    torch.manual_seed(0)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 3)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    classifier = nn.Sequential(norm, nn.Dropout(), nn.Linear(4, 3)).eval()
    head = head_read(classifier)
    x = torch.randn(5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(x.numpy() @ head.weight.T + head.bias, classifier(x).numpy(), rtol=1e-5, atol=1e-6)
    assert read_classifier(FakeTimm(classifier), "odd").how == "plain, batch norm folded"


def test_a_batch_norm_that_norms_by_the_batch_is_refused():
    classifier = nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3))
    with pytest.raises(ModelError, match="without running statistics"):
        head_read(classifier)


def test_the_head_is_a_copy():
    linear = nn.Linear(2, 1)
    head = head_read(linear)
    nn.init.zeros_(linear.weight)
    assert head.weight.any()


def test_no_classifier():
    assert head_read(nn.Linear(4, 3), num_classes=0) is None
    for classifier in (nn.Identity(), Wrapper(fc=nn.Identity()), None):
        assert head_read(classifier) is None


@pytest.mark.parametrize(
    "classifier",
    [
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)),
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
        Wrapper(fc=nn.Linear(4, 3), bn=nn.BatchNorm1d(4, affine=False)),
        nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)),
        nn.Conv2d(4, 3, 3),
        nn.Conv2d(4, 4, 1, groups=2),
        (nn.Linear(4, 3), nn.Linear(4, 3)),
        nn.Bilinear(4, 4, 3),
    ],
)
def test_classifiers_that_are_more_than_that_are_refused(classifier):
    assert affine(classifier) is None
    with pytest.raises(ModelError, match="the head of 'odd'") as caught:
        head_read(classifier)
    assert "--no-head" in caught.value.fix


# -- networks -----------------------------------------------------------------------------------------------------


# Small settings of networks that classify in a way of their own: arguments, pixels, and what is special.
SPECIAL = {
    "deit_tiny_distilled_patch16_224": ({"img_size": 32, "depth": 1}, 32, "two tokens side by side"),
    "pit_ti_distilled_224": ({"img_size": 64}, 64, "two tokens side by side"),
    "crossvit_tiny_240": ({}, 240, "branches side by side"),
    "efficientvim_m1": ({}, 64, "stages side by side, weighted"),
    "efficientformerv2_s0": ({"img_size": 64}, 64, "mean of two heads"),
    "swiftformer_xs": ({}, 64, "mean of two heads"),
    "levit_128s": ({"img_size": 64}, 64, "mean of two heads, batch norm folded"),
    "efficientvit_m0": ({}, 224, "plain, batch norm folded"),  # of which timm calls only the linear layer classifier
    "shvit_s1": ({}, 64, "plain, batch norm folded"),  # the same
    "repvit_m0_9": ({}, 64, "mean of two heads, batch norm folded"),
    "iformer_t": ({}, 64, "plain, batch norm folded"),
    "pit_ti_224": ({"img_size": 64}, 64, "plain"),
    "dla46_c": ({}, 64, "plain"),  # a convolution as classifier
    "cpubone_nano": ({}, 64, "plain"),  # a wrapper around the linear layer
    "mobilenetv3_small_050": ({}, 64, "plain"),  # hidden layer before the pre-logits
    "resnet10t": ({}, 64, "plain"),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_what_networks_say_is_features_times_head(name, tmp_path):
    args, pixels, how = SPECIAL[name]
    if not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    torch.manual_seed(0)
    made = timm.create_model(name, num_classes=7, **args).eval()
    redraw(made)
    images = torch.randn(2, 3, pixels, pixels)
    assert agreement(made, name, images).equal
    torch.save(made.state_dict(), tmp_path / "x.pth")
    backbone = load_model(ModelSpec("m", "M", "unspecified", timm=name, args=args), checkpoint=tmp_path / "x.pth")
    with torch.inference_mode():
        own = made(images)
    features, logits = backbone.forward(images)
    torch.testing.assert_close(logits, own.flatten(1))
    product = features.numpy() @ backbone.head.weight.T + backbone.head.bias
    np.testing.assert_allclose(product, logits.numpy(), atol=2e-6 * float(logits.abs().max()))
    assert backbone.record.get("classifier", "plain") == how
    assert backbone.record["dim"] == backbone.head.dim == features.shape[1]

    spec = ModelSpec("m", "M", "unspecified", timm=name, args=args, head=HeadSpec("none"))
    headless = load_model(spec, checkpoint=tmp_path / "x.pth")
    torch.testing.assert_close(headless.forward(images)[0], features)
    assert headless.record["dim"] == features.shape[1]


def test_a_hidden_layer_inside_the_classifier_is_passed_first():
    """And goes with the classifier: without it, the pooled features are what is left."""
    from timm.models.metaformer import MetaFormer

    torch.manual_seed(0)
    network = MetaFormer(depths=(1, 1, 1, 1), dims=(8, 8, 8, 12), num_classes=7, use_mlp_head=True).eval()
    redraw(network)
    assert agreement(network, "m", torch.randn(2, 3, 64, 64)).equal
    assert read_classifier(network, "m").head.weight.shape == (7, 48)
    network.reset_classifier(0)
    reading = read_classifier(network, "m")
    assert reading.head is None
    assert reading.features(network, torch.randn(2, 12, 3, 3)).shape == (2, 12)


def test_learned_weights_mix_the_heads_of_both_sets():
    network = nn.Module()
    network.num_classes = 2
    network.heads = nn.ModuleList([nn.Linear(2, 2), nn.Linear(3, 2)])
    network.heads_dist = nn.ModuleList([nn.Linear(2, 2), nn.Linear(3, 2)])
    network.weights, network.weights_dist = nn.Parameter(torch.randn(2)), nn.Parameter(torch.randn(2))
    network.get_classifier = lambda: None
    made = type("EfficientViM", (nn.Module,), {})
    network.__class__ = made
    head = read_classifier(network, "m").head
    x = torch.randn(4, 5)
    parts = (x[:, :2], x[:, 2:])
    with torch.no_grad():
        wanted = sum(
            share * layer(part) / 2
            for layers, weights in ((network.heads, network.weights), (network.heads_dist, network.weights_dist))
            for share, layer, part in zip(weights.softmax(0), layers, parts, strict=True)
        )
    np.testing.assert_allclose(x.numpy() @ head.weight.T + head.bias, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_a_second_classifier_on_patches_is_refused_and_the_rest_works():
    made = timm.create_model("volo_d1_224", img_size=64).eval()
    with pytest.raises(ModelError, match="second classifier on the single patches") as caught:
        read_classifier(made, "m")
    assert "--no-head" in caught.value.fix
    made.reset_classifier(0)
    reading = read_classifier(made, "m")
    with torch.no_grad():
        tokens = made.forward_features(torch.randn(2, 3, 64, 64))
        assert reading.head is None
        assert torch.equal(reading.features(made, tokens), tokens[:, 0])


@pytest.mark.parametrize(
    "name",
    [
        "vit_base_patch16_clip_224.openai",
        "vit_pe_core_base_patch16_224.fb",
        "convnext_base.clip_laion2b",
        "resnet50_clip.openai",
        "fastvit_mci0.apple_mclip",
        "vitamin_small_224.datacomp1b_clip",
    ],
)
def test_a_projection_is_no_classifier(name):
    """Said before anything is fetched or built."""
    with pytest.raises(ModelError, match=r"outputs of '.*' are not classes.*projection") as caught:
        load_model(ModelSpec("m", "M", "multimodal", timm=name))
    assert "--no-head" in caught.value.fix


def test_every_projection_of_timm_is_known_and_no_classifier_is_taken_for_one():
    from timm.models import get_pretrained_cfg

    from moodbench.models import load

    taken = set()
    for name in timm.list_pretrained():
        config = get_pretrained_cfg(name)
        try:
            load._refuse_projection(ModelSpec("m", "M", "multimodal", timm=name), config)
        except ModelError:
            taken.add(name)
    widths = {n for n in timm.list_pretrained() if 0 < get_pretrained_cfg(n).num_classes < 2000}
    assert taken == {n for n in widths if get_pretrained_cfg(n).num_classes != 1000}


def test_a_class_in_the_table_is_found_through_its_descendants():
    base = type("MetaFormer", (nn.Module,), {})
    network = type("Mine", (base,), {})()
    network.head = Wrapper(fc=Wrapper(fc2=nn.Linear(2, 1)))
    assert kind_of(network).how == "after the hidden layer"
    assert kind_of(nn.Linear(1, 1)).how == "plain"
