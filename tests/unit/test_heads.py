"""Features and heads: every way in which networks classify, recipes of tokens, and heads in files of their own."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
import timm
import torch
from torch import nn

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.errors import ModelError, UnknownNameError
from moodbench.models.features import RECIPES, read_head
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


# -- recipes ------------------------------------------------------------------------------------------------------

DINOV2 = ModelSpec(
    "m",
    "M",
    "hybrid",
    timm="vit_small_patch14_reg4_dinov2",
    args={"img_size": 28, "depth": 5, "embed_dim": 12, "num_heads": 2},
    head=HeadSpec("none"),
)


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    """A small network with registers, its file, and the tokens of its blocks after the final norm."""
    torch.manual_seed(0)
    network = timm.create_model(DINOV2.timm, **DINOV2.args).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    file = tmp_path_factory.mktemp("dino") / "x.pth"
    torch.save(network.state_dict(), file)
    images = torch.randn(3, 3, 28, 28)
    tokens = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, given, out: tokens.append(out))
    with torch.no_grad():
        network(images)
        tokens = [network.norm(t).numpy() for t in tokens]
    return file, images, tokens


def test_recipes_count_tokens_as_the_heads_do(dino):
    file, images, tokens = dino
    classes = [t[:, 0] for t in tokens]
    mean = tokens[-1][:, 5:].mean(axis=1)  # without the class token and four registers
    wanted = {
        "pre_logits": classes[-1],
        "cls_mean": np.concatenate([classes[-1], mean], axis=1),
        "cls4_mean": np.concatenate([*classes[1:], mean], axis=1),
        "cls4": np.concatenate(classes[1:], axis=1),
        "cls_mean_interleaved": np.empty((3, 24), np.float32),
    }
    wanted["cls_mean_interleaved"][:, 0::2], wanted["cls_mean_interleaved"][:, 1::2] = classes[-1], mean
    assert set(RECIPES) == set(wanted)
    for name, values in wanted.items():
        backbone = load_model(dataclasses.replace(DINOV2, features=name), checkpoint=file)
        features, logits = backbone.forward(images)
        np.testing.assert_allclose(features.numpy(), values, rtol=1e-5, atol=1e-5)
        assert logits is None
        assert backbone.record["dim"] == features.shape[1]
        assert backbone.record.get("features", "pre_logits") == name


def test_recipes_refuse_networks_without_such_tokens(tmp_path):
    cases = {
        "resnet10t": ({}, "has none"),
        "vit_base_patch16_siglip_gap_224": ({"img_size": 32, "depth": 1}, "has none"),
        "beit_base_patch16_224": ({"img_size": 32, "depth": 1}, "norms what it has pooled"),
    }
    for name, (args, message) in cases.items():
        spec = dataclasses.replace(DINOV2, timm=name, args=args, features="cls_mean")
        torch.save(timm.create_model(name, num_classes=0, **args).state_dict(), tmp_path / "x.pth")
        with pytest.raises(ModelError, match=message):
            load_model(spec, checkpoint=tmp_path / "x.pth")


def test_a_recipe_needs_a_head_of_its_own_or_none():
    with pytest.raises(ModelError, match="which no classifier of the network itself reads") as caught:
        load_model(dataclasses.replace(DINOV2, head=HeadSpec("own"), features="cls_mean"))
    assert "head: none" in caught.value.fix
    with pytest.raises(UnknownNameError, match=r"no features recipe 'cls_meen'.*cls_mean"):
        load_model(dataclasses.replace(DINOV2, features="cls_meen"))


# -- heads in files -----------------------------------------------------------------------------------------------


@pytest.fixture
def head_file(tmp_path):
    def write(dim, content=None, name="head.pth"):
        made = {"weight": torch.randn(6, dim), "bias": torch.randn(6)}
        torch.save(made if content is None else content(made), tmp_path / name)
        return tmp_path / name, made

    return write


def test_a_head_from_a_file(dino, head_file):
    backbone_file, images, _ = dino
    file, made = head_file(24, lambda h: {"state_dict": {f"module.linear.{k}": v for k, v in h.items()}, "epoch": 3})
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    spec = dataclasses.replace(DINOV2, features="cls_mean", head=HeadSpec("file", path=file, sha256=digest))
    backbone = load_model(spec, checkpoint=backbone_file)
    features, logits = backbone.forward(images)
    torch.testing.assert_close(logits, features @ made["weight"].T + made["bias"])
    assert logits.shape == (3, 6)
    assert backbone.record["features"] == "cls_mean"
    assert backbone.record["head"] == "file head.pth"
    assert backbone.record["head_sha256"] == digest
    assert (backbone.record["classes"], backbone.record["dim"]) == (6, 24)
    without = load_model(spec, checkpoint=backbone_file, with_head=False)
    assert without.head is None
    torch.testing.assert_close(without.forward(images)[0], features)
    with pytest.raises(ModelError, match=f"sha256 {digest}, expected {'0' * 64}"):
        load_model(
            dataclasses.replace(spec, head=HeadSpec("file", path=file, sha256="0" * 64)), checkpoint=backbone_file
        )
    with pytest.raises(ModelError, match="the head of 'm' does not exist"):
        load_model(dataclasses.replace(spec, head=HeadSpec("file", path=file / "no")), checkpoint=backbone_file)


def test_a_head_from_an_address(dino, head_file, monkeypatch):
    from moodbench.models import hub

    file, made = head_file(12)
    asked = []
    monkeypatch.setattr(hub, "fetch_url", lambda name, url, **_: asked.append((name, url)) or file)
    spec = dataclasses.replace(DINOV2, head=HeadSpec("file", url="https://example.org/linear.pth"))
    backbone = load_model(spec, checkpoint=dino[0])
    assert asked == [("m", "https://example.org/linear.pth")]
    assert backbone.record["head"] == "file head.pth of example.org"
    assert backbone.record["head_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    np.testing.assert_array_equal(backbone.head.weight, made["weight"].numpy())


def test_a_head_of_another_width_is_refused_with_the_recipe_it_belongs_to(dino, head_file):
    for dim, fix in ((60, "features: cls4_mean"), (48, "features: cls4"), (13, "belongs to this network")):
        spec = dataclasses.replace(DINOV2, features="cls_mean", head=HeadSpec("file", path=head_file(dim)[0]))
        with pytest.raises(
            ModelError, match=f"reads {dim} numbers, but the features 'cls_mean' of 'm' are 24"
        ) as caught:
            load_model(spec, checkpoint=dino[0])
        assert fix in caught.value.fix
        assert caught.value.file is not None


@pytest.mark.parametrize(
    "content",
    [
        lambda h: {"weight": h["weight"]},
        lambda h: {**h, "more": torch.zeros(1)},
        lambda h: {"a.weight": h["weight"], "b.bias": h["bias"]},
        lambda h: {**h, "a.weight": h["weight"], "a.bias": h["bias"]},
        lambda h: {"weight": h["weight"].T, "bias": h["bias"]},
        lambda h: {"weight": h["weight"][0], "bias": h["bias"]},
    ],
)
def test_files_that_are_no_head(head_file, content):
    file, _ = head_file(4, content)
    with pytest.raises(ModelError, match="not a linear head") as caught:
        read_head(file)
    assert caught.value.file == file


def test_a_web_page_is_no_head(tmp_path):
    (tmp_path / "head.pth").write_bytes(b"<!DOCTYPE html><html>404</html>")
    with pytest.raises(ModelError, match="begins with b'<!DOCTYPE"):
        read_head(tmp_path / "head.pth")
