"""MoCo v3, DINO, iBOT, MAE and BEiT: timm's names, and something around them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.errors import ModelError
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.formats.base import FORMATS, detect_format
from moodbench.models.load import load_model
from tests.networks import SMALL_VIT, random_network

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
