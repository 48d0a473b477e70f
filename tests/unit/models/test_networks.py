"""Networks: heads that are really theirs, and any module as a backbone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

from moodbench.catalog import HeadSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.backbone import Backbone
from moodbench.models.load import load_model
from moodbench.models.transforms import build_transform
from moodbench.types import Head
from tests.backbones import SPEC, assert_identity

# -- heads: more in test_classifiers.py ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet", "test_byobnet", "resnetv2_18"])
def test_features_times_head_are_the_logits_across_families(name, tmp_path):
    torch.manual_seed(3)
    made = timm.create_model(name, num_classes=10).eval()
    for parameter in made.get_classifier().parameters():
        nn.init.normal_(parameter)
    torch.save(made.state_dict(), tmp_path / "x.pth")
    spec = dataclasses.replace(SPEC, timm=name)
    backbone = load_model(spec, checkpoint=tmp_path / "x.pth")
    assert_identity(backbone, torch.randn(2, 3, 64, 64))
    headless = load_model(spec, checkpoint=tmp_path / "x.pth", with_head=False)
    assert headless.record["dim"] == backbone.record["dim"]


def test_a_made_up_head_is_refused(monkeypatch, no_network):
    """timm gives a backbone whose weights have other classes a random head without a word."""
    real = timm.create_model
    monkeypatch.setattr(hub, "ready_hub", lambda *_: True)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **args: real(name, False, **args))
    with pytest.raises(ModelError, match="have 1000 classes, but 'mine' asks for 5: such a head would be random"):
        load_model(dataclasses.replace(SPEC, args={"num_classes": 5}))
    dino = dataclasses.replace(SPEC, timm="vit_small_patch14_dinov2.lvd142m", args={"img_size": 28, "depth": 1})
    with pytest.raises(ModelError, match="have no classifier, but 'mine' asks for one"):
        load_model(dino)
    assert load_model(dataclasses.replace(dino, name="timm:vit_small_patch14_dinov2.lvd142m")).head is None
    backbone = load_model(dataclasses.replace(dino, head=HeadSpec("none")))
    assert backbone.head is None
    assert backbone.image_size == 28
    assert backbone.record["timm"] == "vit_small_patch14_dinov2.lvd142m"
    assert backbone.record["weights"] == "hub timm/vit_small_patch14_dinov2.lvd142m"


# -- any module ---------------------------------------------------------------------------------------------------


MOODV2 = build_transform("moodv2", {}, 64)


def test_torchvision_networks_work_as_they_are():
    torch.manual_seed(4)
    module = torchvision.models.resnet18(num_classes=5)
    images = torch.randn(2, 3, 64, 64)
    backbone = Backbone.from_module(module, MOODV2, name="tv")
    assert_identity(backbone, images)
    assert torch.equal(backbone.forward(images)[1], module(images))
    assert (backbone.image_size, backbone.record["dim"], backbone.record["classes"]) == (64, 512, 5)
    assert not module.fc._forward_pre_hooks


def test_timm_networks_and_given_heads(network, images):
    backbone = Backbone.from_module(network, MOODV2)
    assert_identity(backbone, images)
    head = Head(np.arange(128, dtype=np.float32).reshape(2, 64) / 64, np.ones(2, np.float32))
    probed = Backbone.from_module(network, MOODV2, head=head)
    assert_identity(probed, images)
    assert torch.equal(probed.forward(images)[0], backbone.forward(images)[0])


def test_a_function_for_the_features():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU())
    images = torch.randn(2, 3, 2, 2)
    with pytest.raises(ModelError, match="where the features of 'module'"):
        Backbone.from_module(module, MOODV2)
    backbone = Backbone.from_module(module, MOODV2, features=lambda m, x: m(x))
    features, logits = backbone.forward(images)
    assert (features.shape, logits) == ((2, 4), None)
    maps = Backbone.from_module(module, MOODV2, features=lambda m, x: x)
    with pytest.raises(ModelError, match=r"shape \(2, 3, 2, 2\), not one vector"):
        maps.forward(images)
    with pytest.raises(ModelError, match="no record"):
        Backbone.from_module(module, lambda image: torch.zeros(3, 2, 2))
