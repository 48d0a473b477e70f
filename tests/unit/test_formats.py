"""Checkpoint formats: renaming there and back on random weights, equal outputs, detection, files that are none."""

from __future__ import annotations

import pickle
import re
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.errors import ModelError
from moodbench.models.checkpoint import read_checkpoint, weights_sha256
from moodbench.models.digest import check_sha256
from moodbench.models.formats.base import FORMATS, detect_format
from moodbench.models.load import load_model


def random_network(name: str, **args):
    torch.manual_seed(0)
    network = timm.create_model(name, **args).eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_()
    return network


SMALL_VIT = {"img_size": 32, "depth": 2, "num_classes": 5}
NETWORKS = {
    "vit": ("vit_tiny_patch16_224", SMALL_VIT),
    "vit avg": ("vit_tiny_patch16_224", {**SMALL_VIT, "global_pool": "avg"}),
    "dinov2": ("vit_small_patch14_dinov2", {"img_size": 28, "depth": 2, "num_classes": 5}),
    "beit": ("beit_base_patch16_224", {**SMALL_VIT, "embed_dim": 48, "num_heads": 3}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 2, "embed_dim": 12, "depths": (1, 1, 1), "num_heads": (1, 2, 3)},
    ),
    "resnet": ("resnet18", {"num_classes": 5}),
}


# -- mmpretrain ---------------------------------------------------------------------------------------------------


def to_mmpretrain(kind: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The way back, written from mmpretrain's module names rather than from the rules under test."""
    if kind == "resnet":
        return {("head." if name.startswith("fc.") else "backbone.") + name: t for name, t in state.items()}
    if kind == "swin":
        return dict(to_mmpretrain_swin(name, t) for name, t in state.items())
    pairs = [
        ("head.", "head.fc." if kind == "beit" else "head.layers.head."),
        ("fc_norm.", "backbone.ln2."),
        ("norm.", "backbone.ln1."),
        ("patch_embed.proj.", "backbone.patch_embed.projection."),
    ]
    result = {}
    for name, tensor in state.items():
        for ours, theirs in pairs:
            if name.startswith(ours):
                name = name.replace(ours, theirs, 1)
        name = re.sub(r"^blocks\.(\d+)\.norm(\d)\.", r"backbone.layers.\1.ln\2.", name)
        name = re.sub(r"^blocks\.(\d+)\.ls1\.gamma", r"backbone.layers.\1.attn.gamma1.weight", name)
        name = re.sub(r"^blocks\.(\d+)\.ls2\.gamma", r"backbone.layers.\1.ffn.gamma2.weight", name)
        name = re.sub(r"^blocks\.(\d+)\.mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0.", name)
        name = re.sub(r"^blocks\.(\d+)\.mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1.", name)
        name = re.sub(r"^blocks\.", "backbone.layers.", name)
        result[name if name.startswith(("backbone.", "head.")) else f"backbone.{name}"] = tensor
    return result


def to_mmpretrain_swin(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    if name.startswith("head."):
        return name, tensor
    if match := re.match(r"layers\.(\d+)\.downsample\.(.*)", name):
        name = f"stages.{int(match[1]) - 1}.downsample.{match[2]}"
        width = tensor.shape[-1] // 4
        # timm's channel q·C + c of a merged patch is at column q // 2, row q % 2; theirs is c·4 + row·2 + column.
        order = [(2 * column + row) * width + c for c in range(width) for row in (0, 1) for column in (0, 1)]
        tensor = tensor[..., order]
    name = re.sub(r"^layers\.", "stages.", name)
    name = re.sub(r"\.attn\.", ".attn.w_msa.", name)
    name = re.sub(r"\.mlp\.fc1\.", ".ffn.layers.0.0.", name)
    name = re.sub(r"\.mlp\.fc2\.", ".ffn.layers.1.", name)
    name = re.sub(r"^patch_embed\.proj\.", "patch_embed.projection.", name)
    name = re.sub(r"^norm\.", "norm3.", name)
    return f"backbone.{name}", tensor


@pytest.mark.parametrize("kind", NETWORKS)
def test_mmpretrain_there_and_back(kind):
    name, args = NETWORKS[kind]
    network = random_network(name, **args)
    ours = network.state_dict()
    theirs = to_mmpretrain(kind.split()[0], ours)
    assert not set(theirs) & set(ours) - {key for key in ours if kind == "swin" and key.startswith("head.")}
    assert detect_format(theirs.keys()) == "mmpretrain"
    if kind in ("beit", "swin"):
        theirs["backbone.stages.0.blocks.0.attn.w_msa.relative_position_index"] = torch.zeros(1)
    back = FORMATS.get("mmpretrain").convert(theirs, network)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[key], ours[key]) for key in ours)


def test_patch_merging_order_by_calculation():
    """The reordered layer gives the same numbers as merging in the source's order does."""
    from timm.models.swin_transformer import PatchMerging

    torch.manual_seed(1)
    layer = PatchMerging(3, 5)
    torch.nn.init.normal_(layer.norm.weight)
    image = torch.randn(2, 4, 6, 3)
    with torch.no_grad():
        wanted = layer(image)
        stored = {f"layers.1.downsample.{key}": tensor for key, tensor in layer.state_dict().items()}
        theirs = dict(to_mmpretrain_swin(*item) for item in stored.items())
        merged = torch.nn.functional.unfold(image.permute(0, 3, 1, 2), 2, stride=2).transpose(1, 2)  # (B, L, C·4)
        prefix = "backbone.stages.0.downsample."
        normed = torch.nn.functional.layer_norm(
            merged, (12,), theirs[f"{prefix}norm.weight"], theirs[f"{prefix}norm.bias"]
        )
        found = normed @ theirs[f"{prefix}reduction.weight"].T
    assert torch.allclose(found.reshape(wanted.shape), wanted, atol=1e-6)


# -- DINOv2 -------------------------------------------------------------------------------------------------------

DINOV2 = {"depth": 2, "embed_dim": 24, "num_heads": 2, "num_classes": 0}


def to_dinov2(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the publisher's file would hold, for timm's network with or without registers."""
    theirs = {"mask_token": torch.zeros(1, 24)}
    registers = "reg_token" in state
    for name, tensor in state.items():
        if name == "cls_token" and registers:
            tensor = tensor - 0.25
        elif name == "pos_embed" and registers:
            tensor = torch.cat((torch.full((1, 1, 24), 0.25), tensor), dim=1)
        theirs[name.replace("reg_token", "register_tokens")] = tensor
    return theirs


@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"])
def test_dinov2_there_and_back(name):
    network = random_network(name, img_size=56, **DINOV2)
    ours = network.state_dict()
    theirs = to_dinov2(ours)
    assert detect_format(theirs) == "dinov2"
    back = FORMATS.get("dinov2").convert(theirs, network)
    assert back.keys() == ours.keys()
    for key in ours:
        torch.testing.assert_close(back[key], ours[key], rtol=0, atol=1e-6)
    network.load_state_dict(FORMATS.get("dinov2").convert(ours, network))  # timm's own form is left as it is


def test_dinov2_giant_names():
    network = random_network("vit_giant_patch14_dinov2", img_size=28, **DINOV2)
    ours = network.state_dict()
    renamed = {n.replace("mlp.fc1.", "mlp.w12.").replace("mlp.fc2.", "mlp.w3."): t for n, t in ours.items()}
    assert "blocks.0.mlp.w12.weight" in renamed
    back = FORMATS.get("dinov2").convert({**renamed, "mask_token": torch.zeros(1)}, network)
    assert back.keys() == ours.keys()


def cubic(x: float) -> float:
    """The convolution kernel of bicubic interpolation with a = -0.75."""
    x, a = abs(x), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resample_by_definition(row: np.ndarray, wanted: int, offset: float) -> np.ndarray:
    """Return `row` at `wanted` places, sampled as if it grew by the factor (wanted + offset) / len(row)."""
    factor = (wanted + offset) / len(row)
    result = np.zeros(wanted)
    for place in range(wanted):
        at = (place + 0.5) / factor - 0.5
        first = int(np.floor(at)) - 1
        result[place] = sum(row[min(max(i, 0), len(row) - 1)] * cubic(at - i) for i in range(first, first + 4))
    return result


def test_dinov2_positions_are_resampled_as_its_own_code_does(tmp_path):
    """37 to 16 patches: without registers no antialias and an offset of 0.1, with them antialias and none."""
    row, column = np.random.default_rng(0).normal(size=(2, 37))
    table = torch.tensor(np.outer(row, column), dtype=torch.float32).reshape(1, 37 * 37, 1).repeat(1, 1, 24)
    plain = to_dinov2(random_network("vit_small_patch14_dinov2", img_size=518, **DINOV2).state_dict())
    plain["pos_embed"] = torch.cat((plain["pos_embed"][:, :1], table), dim=1)
    torch.save(plain, tmp_path / "plain.pth")
    spec = ModelSpec("m", "M", "hybrid", timm="vit_small_patch14_dinov2", head=HeadSpec("none"))
    backbone = load_model(replace(spec, args={**DINOV2, "img_size": 224}), checkpoint=tmp_path / "plain.pth")
    found = backbone.network.pos_embed[0, 1:, 0].reshape(16, 16).double().numpy()
    wanted = np.outer(resample_by_definition(row, 16, 0.1), resample_by_definition(column, 16, 0.1))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert torch.equal(backbone.network.pos_embed[:, :1], plain["pos_embed"][:, :1])
    assert backbone.record["positions"] == "bicubic, no antialias, offset 0.1 (DINOv2)"
    assert backbone.record["adapted"] is False
    assert backbone.image_size == 224

    whole = load_model(replace(spec, args={**DINOV2, "img_size": 518}), checkpoint=tmp_path / "plain.pth")
    assert "positions" not in whole.record
    assert torch.equal(whole.network.pos_embed, plain["pos_embed"])

    registers = to_dinov2(random_network("vit_small_patch14_reg4_dinov2", img_size=518, **DINOV2).state_dict())
    torch.save(registers, tmp_path / "registers.pth")
    spec = replace(spec, timm="vit_small_patch14_reg4_dinov2", args={**DINOV2, "img_size": 224})
    backbone = load_model(spec, checkpoint=tmp_path / "registers.pth")
    assert backbone.record["positions"] == "bicubic, antialias (DINOv2)"
    by_timm = load_model(spec, checkpoint=tmp_path / "registers.pth", format="timm")  # the same arithmetic
    assert by_timm.record["positions"] == "bicubic, antialias (timm)"
    torch.testing.assert_close(backbone.network.pos_embed, by_timm.network.pos_embed)


# -- MoCo v3, DINO, iBOT, MAE, BEiT: timm's names, and something around them --------------------------------------

VIT = {"img_size": 32, "depth": 1, "embed_dim": 24, "num_heads": 12}


def test_moco_v3_linear_probe_and_pretraining_files(tmp_path):
    made = random_network("vit_small_patch16_224", num_classes=5, **VIT)
    ours = made.state_dict()
    spec = ModelSpec("m", "M", "contrastive", timm="vit_small_patch16_224", args=VIT)
    probe = {"arch": "vit_small", "state_dict": {f"module.{k}": v for k, v in ours.items()}, "optimizer": {}}
    torch.save(probe, tmp_path / "probe.pth.tar")
    backbone = load_model(spec, checkpoint=tmp_path / "probe.pth.tar")
    assert backbone.record["format"] == "moco_v3"
    assert backbone.record["weights_sha256"] == weights_sha256(made)
    encoder = {k: v for k, v in ours.items() if not k.startswith("head.")}
    projector = {"head.0.weight": torch.zeros(3, 24), "head.1.running_mean": torch.zeros(3)}
    pretraining = {f"module.base_encoder.{k}": v for k, v in {**encoder, **projector}.items()}
    pretraining |= {f"module.momentum_encoder.{k}": v + 1 for k, v in encoder.items() if v.is_floating_point()}
    torch.save({"arch": "vit_small", "state_dict": pretraining}, tmp_path / "pretraining.pth.tar")
    with pytest.raises(ModelError, match=r"missing: 2 \(head\.weight, head\.bias\)") as caught:
        load_model(spec, checkpoint=tmp_path / "pretraining.pth.tar")
    assert "--no-head" in caught.value.fix
    headless = load_model(spec, checkpoint=tmp_path / "pretraining.pth.tar", with_head=False)
    for name, tensor in headless.network.state_dict().items():
        assert torch.equal(tensor, encoder[name])


def test_moco_v3_in_a_network_with_other_attention_heads_is_refused(tmp_path):
    """Strict loading would succeed."""
    made = random_network("vit_small_patch16_224", num_classes=5, **VIT)
    spec = ModelSpec("m", "M", "contrastive", timm="vit_small_patch16_224", args={**VIT, "num_heads": 6})
    torch.save({"arch": "vit_small", "state_dict": made.state_dict()}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match="has 6") as caught:
        load_model(spec, checkpoint=tmp_path / "x.pth")
    assert "{num_heads: 12}" in caught.value.fix
    torch.save(made.state_dict(), tmp_path / "x.pth")
    with pytest.raises(ModelError, match="has 6"):
        load_model(spec, checkpoint=tmp_path / "x.pth", format="moco_v3")


def test_moco_v3_resnet():
    network = random_network("resnet18", num_classes=0)
    ours = network.state_dict()
    theirs = {f"base_encoder.{k}": v for k, v in ours.items()} | {"base_encoder.fc.0.weight": torch.zeros(1)}
    assert FORMATS.get("moco_v3").convert(theirs, network).keys() == ours.keys()


def test_dino_and_ibot_training_files_give_the_teachers_backbone(tmp_path):
    made = random_network("vit_small_patch16_224", num_classes=0, **VIT)
    ours = made.state_dict()
    teacher = {f"backbone.{k}": v for k, v in ours.items()}
    teacher |= {"head.mlp.0.weight": torch.zeros(1), "head.last_layer.weight_g": torch.zeros(1)}
    student = {f"module.{k}": torch.zeros_like(v) for k, v in teacher.items()}
    torch.save({"student": student, "teacher": teacher, "epoch": 3}, tmp_path / "dino.pth")
    torch.save({"state_dict": {**ours, "masked_embed": torch.zeros(1, 24)}}, tmp_path / "ibot.pth")
    spec = ModelSpec("m", "M", "self-distillation", timm="vit_small_patch16_224", args=VIT, head=HeadSpec("none"))
    for name in ("dino.pth", "ibot.pth"):
        backbone = load_model(spec, checkpoint=tmp_path / name)
        assert backbone.record["format"] == "dino"
        assert backbone.record["weights_sha256"] == weights_sha256(made)


def test_mae_pretraining_and_fine_tuned_files(tmp_path):
    spec = ModelSpec("m", "M", "masked image modeling", timm="vit_small_patch16_224", args=VIT, format="mae")
    encoder = random_network("vit_small_patch16_224", num_classes=0, **VIT).state_dict()
    decoder = {"decoder_pos_embed": torch.zeros(1), "decoder_blocks.0.norm1.weight": torch.zeros(1)}
    torch.save({"model": {**encoder, **decoder, "mask_token": torch.zeros(1)}}, tmp_path / "pretraining.pth")
    backbone = load_model(spec, checkpoint=tmp_path / "pretraining.pth", with_head=False)
    assert backbone.record["format"] == "mae"
    assert all(torch.equal(tensor, encoder[name]) for name, tensor in backbone.network.state_dict().items())
    tuned = random_network("vit_small_patch16_224", num_classes=5, global_pool="avg", **VIT)
    torch.save({"model": tuned.state_dict()}, tmp_path / "tuned.pth")
    averaged = replace(spec, args={**VIT, "global_pool": "avg"}, checkpoint=tmp_path / "tuned.pth")
    assert load_model(averaged).record["weights_sha256"] == weights_sha256(tuned)
    with pytest.raises(ModelError, match=r"fc_norm\.weight") as caught:
        load_model(replace(averaged, args=VIT))
    assert "{global_pool: avg}" in caught.value.fix


def test_beit_fine_tuned_and_pretraining_files():
    args = {**SMALL_VIT, "embed_dim": 48, "num_heads": 3}
    network = random_network("beit_base_patch16_224", **args)
    ours = network.state_dict()
    index = {f"blocks.{i}.attn.relative_position_index": torch.zeros(5, 5) for i in range(2)}
    assert detect_format({**ours, **index}) == "beit"
    back = FORMATS.get("beit").convert({**ours, **index}, network)
    assert back.keys() == ours.keys()
    table = torch.randn_like(ours["blocks.0.attn.relative_position_bias_table"])
    shared = {k: v for k, v in ours.items() if "relative_position_bias_table" not in k}
    shared |= {"rel_pos_bias.relative_position_bias_table": table, "lm_head.weight": torch.zeros(1)}
    shared |= {"rel_pos_bias.relative_position_index": torch.zeros(5, 5), "mask_token": torch.zeros(1, 1, 48)}
    assert detect_format(shared) == "beit"
    network.load_state_dict(FORMATS.get("beit").convert(shared, network), strict=True)
    assert all(torch.equal(block.attn.relative_position_bias_table, table) for block in network.blocks)
    sharing = random_network("beit_base_patch16_224", use_rel_pos_bias=False, use_shared_rel_pos_bias=True, **args)
    kept = FORMATS.get("beit").convert(shared, sharing)
    assert kept.keys() == sharing.state_dict().keys()
    sharing.load_state_dict(kept)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():  # the same network, its table written twice
        torch.testing.assert_close(sharing(images), network(images))


# -- torchvision: its own networks beside timm's ------------------------------------------------------------------


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


# -- detection and registry ---------------------------------------------------------------------------------------


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
    known = "beit dino dinov2 efficientnet_lite mae mmpretrain moco moco_v3 timm torchvision"
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


# -- reading ------------------------------------------------------------------------------------------------------

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(())}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (TENSORS, "x.pth"),
        ({"state_dict": TENSORS, "meta": {"epoch": 3}, "optimizer": {}}, "x.pth, state_dict"),
        ({"model": {f"module.{k}": v for k, v in TENSORS.items()}}, "x.pth, model"),
        ({"module": {f"_orig_mod.module.{k}": v for k, v in TENSORS.items()}}, "x.pth, module"),
        (
            {"model_state_dict": TENSORS, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
            "x.pth, model_state_dict",
        ),
        ({"net": TENSORS, "acc": 71.0, "optim": {"a.weight": torch.ones(2)}}, "x.pth, net"),
        ({"net": TENSORS, "rng": torch.zeros(4, dtype=torch.uint8), "center": torch.ones(1, 4)}, "x.pth, net"),
        ({"net": TENSORS, "dino_loss": {"center": torch.ones(1, 4)}, "prior": {"p": torch.ones(5)}}, "x.pth, net"),
        ({"ema": {f"module.{k}": v for k, v in TENSORS.items()} | {"n_averaged": torch.tensor(5)}}, "x.pth, ema"),
        ({"model": {"state_dict": TENSORS}}, "x.pth, model, state_dict"),
        ({**TENSORS, "epoch": 3}, "x.pth"),
        ({"student": {"z": torch.ones(1)}, "teacher": TENSORS}, "x.pth, teacher"),
    ],
)
def test_wrappers_and_prefixes(tmp_path, content, part):
    torch.save(content, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth")
    assert (found.part, found.architecture) == (part, None)
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[key], TENSORS[key]) for key in TENSORS)


def test_what_the_training_called_its_network(tmp_path):
    torch.save({"arch": "vit_small", "state_dict": TENSORS, "best_acc1": torch.tensor(73.2)}, tmp_path / "x.pth")
    assert read_checkpoint(tmp_path / "x.pth").architecture == "vit_small"
    torch.save({"arch": 3, "state_dict": TENSORS}, tmp_path / "x.pth")
    assert read_checkpoint(tmp_path / "x.pth").architecture is None


def test_logs_that_mmengine_leaves_in_a_file_are_passed_over(tmp_path, monkeypatch):
    """Such files hold objects of a package that need not be installed."""
    package = types.ModuleType("mmengine.logging.history_buffer")
    made = type("HistoryBuffer", (), {"__module__": package.__name__, "__qualname__": "HistoryBuffer"})
    package.HistoryBuffer = made
    buffer = made()
    buffer.__dict__ |= {"_log_history": np.arange(3.0), "_count_history": np.ones(3, np.int64), "last": np.float64(0.5)}
    with monkeypatch.context() as there:
        for name in ("mmengine", "mmengine.logging"):
            there.setitem(sys.modules, name, types.ModuleType(name))
        there.setitem(sys.modules, package.__name__, package)
        content = {"meta": {"epoch": 1}, "state_dict": TENSORS, "message_hub": {"log_scalars": {"loss": buffer}}}
        torch.save(content, tmp_path / "x.pth")
    assert b"HistoryBuffer" in (tmp_path / "x.pth").read_bytes()
    checkpoint = read_checkpoint(tmp_path / "x.pth")
    assert checkpoint.tensors.keys() == TENSORS.keys()
    assert "mmengine" not in sys.modules


class Running:
    """What a pickle can do to somebody who merely opens it."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.write_text, (self.file, "run"))


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    mark = tmp_path / "mark"
    torch.save({"state_dict": TENSORS, "hook": Running(mark)}, tmp_path / "x.pth")
    torch.save(
        {"state_dict": TENSORS, "hook": Running(mark)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False
    )
    (tmp_path / "raw.pth").write_bytes(pickle.dumps({"state_dict": {}, "hook": Running(mark)}))
    for name in ("x.pth", "old.pth", "raw.pth"):
        with pytest.raises(ModelError) as caught:
            read_checkpoint(tmp_path / name)
        assert caught.value.file == tmp_path / name
        assert "weights_only" not in caught.value.what  # torch recommends to run it
        assert "load failed" not in caught.value.what
        assert not mark.exists()
    pickle.loads((tmp_path / "raw.pth").read_bytes())
    assert mark.exists()  # the trap was a real one


def test_safetensors_is_recognised_whatever_its_name(tmp_path):
    for name in ("x.safetensors", "x.bin"):
        save_file(TENSORS, tmp_path / name)
        assert read_checkpoint(tmp_path / name).tensors.keys() == TENSORS.keys()


class Foreign:
    """Something that a training script left in its checkpoint."""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pth", b"", "it is empty"),
        ("x.pth", b"<html>404</html>", "begins with b'<html>404"),
        ("x.pth", b"version https://git-lfs.github.com/spec/v1\n", "begins with b'version https"),
        ("x.safetensors", b"\x10\0\0\0\0\0\0\0{not json", "not a checkpoint"),
        ("x.safetensors", b"", "it is empty"),
        ("x.pth", [1, 2], "holds a list without tensors"),
        ("x.pth", {"epoch": 3}, "holds a dict without tensors"),
        ("x.pth", {"state_dict": TENSORS, "hook": Foreign()}, "Python objects other than tensors.*Foreign"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, name, content, message):
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ModelError, match=message) as caught:
        read_checkpoint(file)
    assert caught.value.file == file


def test_truncated_checkpoints(tmp_path):
    torch.save(TENSORS, tmp_path / "x.pth")
    save_file(TENSORS, tmp_path / "x.safetensors")
    for file in (tmp_path / "x.pth", tmp_path / "x.safetensors"):
        file.write_bytes(file.read_bytes()[:-20])
        with pytest.raises(ModelError, match="not a checkpoint that torch or safetensors can read") as caught:
            read_checkpoint(file)
        assert "internal" not in caught.value.what  # torch's advice to its own developers


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        read_checkpoint(tmp_path / "no.pth")
    with pytest.raises(ModelError, match="is a folder"):
        read_checkpoint(tmp_path)


# -- fingerprints -------------------------------------------------------------------------------------------------


def test_check_sha256(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_sha256(file, digest.upper())
    check_sha256(file, digest[:8])
    with pytest.raises(ModelError, match=f"sha256 {digest}, expected {'0' * 64}"):
        check_sha256(file, "0" * 64)


def test_weights_fingerprint_is_that_of_names_types_shapes_and_bits():
    import hashlib

    network = torch.nn.Linear(2, 1)
    digest = weights_sha256(network)
    by_hand = hashlib.sha256()
    for name, shape in (("bias", "(1,)"), ("weight", "(1, 2)")):
        by_hand.update(f"{name}\0float32\0{shape}\0".encode() + network.state_dict()[name].numpy().tobytes())
    assert digest == by_hand.hexdigest()
    with torch.no_grad():
        network.weight[0, 0] = torch.nextafter(network.weight[0, 0], torch.tensor(9.0))
    assert weights_sha256(network) != digest
    assert weights_sha256(torch.nn.BatchNorm1d(2)) == weights_sha256(torch.nn.BatchNorm1d(2))
