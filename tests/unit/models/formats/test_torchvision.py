"""Checkpoints of torchvision: its own networks beside timm's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from moodbench.catalog import ModelSpec
from moodbench.models.formats.base import FORMATS
from moodbench.models.load import load_model
from tests.networks import SMALL_VIT


def torchvision_pairs():
    from torchvision.models import convnext, resnet, swin_transformer, vision_transformer

    swin = {"patch_size": [4, 4], "embed_dim": 12, "depths": [2, 1], "num_heads": [1, 2], "window_size": [4, 4]}
    second = {"block": swin_transformer.SwinTransformerBlockV2, "downsample_layer": swin_transformer.PatchMergingV2}
    ours = {"img_size": 32, "embed_dim": 12, "depths": (2, 1), "num_heads": (1, 2), "window_size": 4}
    widths = ((8, 16, 2), (16, 24, 1), (24, 32, 1), (32, None, 1))
    stages = [convnext.CNBlockConfig(*width) for width in widths]
    return {
        "vit": (
            vision_transformer.VisionTransformer(32, 16, 2, 3, 48, 192, num_classes=5),
            ("vit_tiny_patch16_224", {**SMALL_VIT, "embed_dim": 48}),
        ),
        "swin": (
            swin_transformer.SwinTransformer(**swin, num_classes=5),
            ("swin_tiny_patch4_window7_224", ours),
        ),
        "swin v2": (
            swin_transformer.SwinTransformer(**swin, **second, num_classes=5),
            ("swinv2_tiny_window8_256", ours),
        ),
        "convnext": (
            convnext.ConvNeXt(stages, num_classes=5),
            ("convnext_tiny", {"depths": (2, 1, 1, 1), "dims": (8, 16, 24, 32)}),
        ),
        "resnet": (resnet.resnet18(num_classes=5), ("resnet18", {})),
    }


@pytest.mark.parametrize("kind", ["vit", "swin", "swin v2", "convnext", "resnet"])
def test_torchvision_networks_compute_the_same_in_timm(kind, tmp_path):
    torch.manual_seed(0)
    theirs, (name, args) = torchvision_pairs()[kind]
    with torch.no_grad():
        for key, tensor in theirs.eval().state_dict().items():
            if tensor.is_floating_point() and "coords_table" not in key:
                tensor.uniform_(0.1, 0.5) if "running_var" in key else tensor.normal_(std=0.3)
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    spec = ModelSpec("m", "M", "classification", timm=name, args=args, format="torchvision")
    backbone = load_model(replace(spec, checkpoint=tmp_path / "x.pth"))
    if kind != "resnet":  # whose names are the same
        assert load_model(spec, checkpoint=tmp_path / "x.pth").record["format"] == "torchvision"
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone.forward(images)[1], theirs(images), rtol=1e-4, atol=1e-5)
    assert backbone.record["adapted"] is False


def test_torchvision_keeps_names_it_cannot_place():
    names = ["class_token", "encoder.layers.encoder_layer_0.mystery", "heads.pre_logits.weight"]
    state = FORMATS.get("torchvision").convert({name: torch.zeros(1) for name in names}, torch.nn.Module())
    assert list(state) == ["cls_token", *names[1:]]
