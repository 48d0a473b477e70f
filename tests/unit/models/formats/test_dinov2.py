"""Checkpoints of DINOv2: renamed there and back, and positions resampled as its own code does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.models.formats.base import FORMATS, detect_format
from moodbench.models.load import load_model
from tests.networks import random_network

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
