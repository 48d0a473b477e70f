"""Networks of torchvision by name: its own transform to the bit, its weights, files of the user's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from moodbench.catalog import load_catalog
from moodbench.errors import ModelError, UsageError
from moodbench.models import hub
from moodbench.models.load import load_model
from moodbench.models.outside.torchvision import _known, _share
from moodbench.models.transforms import build_transform, record_of
from tests.outside import redrawn


def spec(name):
    return load_catalog().model(f"torchvision:{name}")


def test_transforms_have_the_record_of_their_numbers():
    for architecture in ("convnext_small", "efficientnet_b1", "inception_v3", "resnet50", "swin_s", "vit_h_14"):
        for member in models.get_model_weights(architecture):
            record = record_of(spec(f"{architecture}.{member.name}"))
            own = member.transforms()
            assert ([record["size"]], [record["resize"]]) == (own.crop_size, own.resize_size), member
            assert record["interpolation"] == own.interpolation.value


@pytest.mark.parametrize("name", ["resnet50.IMAGENET1K_V2", "efficientnet_b1.IMAGENET1K_V2", "swin_t.IMAGENET1K_V1"])
def test_pictures_are_those_of_torchvision_to_the_bit(name):
    record = record_of(spec(name))
    architecture, tag = name.split(".")
    own = models.get_model_weights(architecture)[tag].transforms()
    ours = build_transform("model", _config(name), record["size"])
    assert ours.record == record
    for height, width in ((300, 401), (500, 280), (64, 64)):
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
        assert torch.equal(ours(image), own(image))


def _config(name):
    from moodbench.models.outside import torchvision

    return torchvision.data_config(spec(name))


def test_shares_lead_back_to_the_edge():
    assert all(int(side / _share(side, edge)) == edge for side in range(32, 300) for edge in range(side, 340))


def test_default_weights_are_those_of_torchvision():
    assert _known("resnet50")[1].name == "IMAGENET1K_V2"
    assert record_of(spec("resnet50")) == record_of(spec("resnet50.IMAGENET1K_V2"))


def test_published_weights_are_taken_from_the_cache_of_torch(tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = models.get_model("shufflenet_v2_x0_5").eval()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(hub, "digest_in_name", lambda file: None)
    file = hub.url_file(_known("shufflenet_v2_x0_5")[1].url)
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    backbone = load_model(spec("shufflenet_v2_x0_5"))
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(backbone.forward(images)[1], network(images))
    assert backbone.record["enumeration"] == "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"
    assert backbone.record["head_names"] == "imagenet"


def test_a_file_of_ones_own_brings_its_number_of_classes(tmp_path):
    network = redrawn(models.get_model("mnasnet0_5", num_classes=6))
    file = tmp_path / "mine.pth"
    torch.save({"epoch": 3, "model": {f"module.{k}": v for k, v in network.state_dict().items()}}, file)
    backbone = load_model(spec("mnasnet0_5"), checkpoint=file)
    images = torch.randn(2, 3, 224, 224)
    features, logits = backbone.forward(images)
    assert (features.shape, logits.shape) == ((2, 1280), (2, 6))
    assert backbone.head.class_names is None
    assert "enumeration" not in backbone.record
    with torch.inference_mode():
        assert torch.equal(logits, network(images))


def test_a_file_of_other_classes_than_the_weights_that_are_named_is_refused(tmp_path):
    file = tmp_path / "mine.pth"
    torch.save(models.get_model("mnasnet0_5", num_classes=6).state_dict(), file)
    with pytest.raises(ModelError, match=r"the file has 6 classes, and the weights .*IMAGENET1K_V1 .* 1000") as caught:
        load_model(spec("mnasnet0_5.IMAGENET1K_V1"), checkpoint=file)
    assert caught.value.fix.startswith("torchvision:mnasnet0_5 names")


def test_a_file_of_another_network_is_refused(tmp_path):
    file = tmp_path / "other.pth"
    torch.save(models.get_model("mnasnet0_5", num_classes=6).state_dict(), file)
    with pytest.raises(ModelError, match="does not fit 'torchvision:shufflenet_v2_x0_5'"):
        load_model(spec("shufflenet_v2_x0_5"), checkpoint=file)


def test_a_classifier_that_is_not_linear_is_refused(tmp_path):
    file = tmp_path / "squeeze.pth"
    torch.save(models.get_model("squeezenet1_1", num_classes=6).state_dict(), file)
    with pytest.raises(ModelError, match="no layer of 'torchvision:squeezenet1_1'"):
        load_model(spec("squeezenet1_1"), checkpoint=file)


@pytest.mark.parametrize(
    ("name", "error", "why"),
    [
        ("resnet500", UsageError, "Did you mean 'resnet50'"),
        ("resnet50.IMAGENET1K_V3", UsageError, "Did you mean 'IMAGENET1K_V"),
        ("fcn_resnet50", UsageError, "does not classify pictures"),
        ("vgg16.IMAGENET1K_FEATURES", ModelError, "no trained classifier"),
    ],
)
def test_what_there_is_not(name, error, why):
    with pytest.raises(error, match=why):
        load_model(spec(name))
