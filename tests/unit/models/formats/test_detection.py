"""Which format a checkpoint has, and the registry of formats."""

from __future__ import annotations

import pytest
import torch

from moodbench.errors import ModelError
from moodbench.models.formats.base import FORMATS, detect_format


@pytest.mark.parametrize(
    ("keys", "format"),
    [
        (["blocks.0.norm1.weight", "head.weight"], "timm"),
        (["_conv_stem.weight", "_fc.bias"], "efficientnet_lite"),
        (["backbone.unheard_of.weight"], "timm"),
        (["backbone.layers.0.ln1.weight", "head.fc.weight"], "mmpretrain"),
        (["base_encoder.pos_embed", "momentum_encoder.pos_embed", "predictor.0.weight"], "moco_v3"),
        (["encoder_q.conv1.weight", "encoder_q.fc.weight", "encoder_k.conv1.weight", "queue"], "moco"),
        (["mask_token", "pos_embed", "blocks.0.ls1.gamma"], "dinov2"),
        (["mask_token", "rope_embed.periods", "blocks.0.ls1.gamma"], "timm"),  # DINOv3
        (["backbone.cls_token", "backbone.blocks.0.norm1.weight", "head.last_layer.weight_g"], "dino"),
        (["backbone.layer1.0.conv1.weight", "head.mlp.0.weight", "head.last_layer.weight_v"], "dino"),
        (["masked_embed", "blocks.0.norm1.weight"], "dino"),  # iBOT
        (["decoder_pos_embed", "mask_token", "blocks.0.norm1.weight"], "mae"),
        (["blocks.0.attn.q_bias", "blocks.0.attn.relative_position_index"], "beit"),
        (["blocks.0.attn.q_bias", "rel_pos_bias.relative_position_index", "mask_token", "pos_embed"], "beit"),
        (["blocks.0.attn.relative_position_index"], "timm"),  # Swin and others of timm's
        (["class_token", "conv_proj.weight"], "torchvision"),
        (["features.0.0.weight", "features.1.0.attn.qkv.weight"], "torchvision"),
        (["features.0.0.weight", "features.1.0.layer_scale"], "torchvision"),
        (["layer1.0.conv1.weight", "fc.weight"], "timm"),
    ],
)
def test_a_format_is_found_out_from_names(keys, format):
    assert detect_format(keys) == format


def test_a_format_is_found_out_from_what_the_training_called_its_network():
    names = ["pos_embed", "blocks.0.norm1.weight", "head.weight"]
    assert detect_format(names, "vit_small") == "moco_v3"
    assert detect_format(names, "vit_small_patch16_224") == "timm"
    assert detect_format(["layer1.0.conv1.weight"], "resnet50") == "timm"


def test_two_formats_are_never_guessed_between():
    with pytest.raises(ModelError, match="efficientnet_lite and mmpretrain"):
        detect_format(["_conv_stem.weight", "backbone.layers.0.ln1.weight"])


def test_the_formats():
    """The names that entries of catalogues may use; none is lost by accident."""
    known = "beit dino dinov2 efficientnet_lite mae mmpretrain moco moco_v3 openood timm torchvision"
    assert sorted(FORMATS) == known.split()


def test_timm_format_drops_only_derived_tensors_that_the_network_does_not_store():
    network = torch.nn.Linear(2, 1)
    network.register_buffer("relative_coords_table", torch.zeros(1))
    state = {**network.state_dict(), "blocks.0.attn.relative_position_index": torch.zeros(1), "mystery": torch.zeros(1)}
    kept = FORMATS.get("timm").convert(state, network)
    assert sorted(kept) == ["bias", "mystery", "relative_coords_table", "weight"]


def test_efficientnet_lite_keeps_names_it_cannot_place():
    network = torch.nn.Module()
    network.blocks = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Identity()))
    names = ["_conv_stem.weight", "_blocks.0._bn1.weight", "_blocks.7._bn1.weight", "other.weight"]
    state = FORMATS.get("efficientnet_lite").convert({name: torch.zeros(1) for name in names}, network)
    assert list(state) == ["conv_stem.weight", "blocks.0.0.bn1.weight", "_blocks.7._bn1.weight", "other.weight"]
