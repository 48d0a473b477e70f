"""Recipes of tokens, and heads in files of their own."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
import timm
import torch

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.errors import ModelError, UnknownNameError
from moodbench.models.features import RECIPES, read_head
from moodbench.models.load import load_model

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
