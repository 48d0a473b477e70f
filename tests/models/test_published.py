"""Checkpoints that publishers' own code wrote give, in timm, the features and logits that this code computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.errors import ModelError
from moodbench.models.load import load_model

FOLDER = Path(__file__).with_name("published")
TOLERANCE = 1e-5
"""Of the largest value; both compute in float32, sums in another order."""

VIT = {"img_size": 16, "patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 3}
DINO = {**VIT, "depth": 4}
SWIN = {
    "img_size": 64, "patch_size": 2, "window_size": 4, "embed_dim": 6, "depths": (2, 2, 1, 1), "num_heads": (1, 1, 2, 2)
}  # fmt: skip

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mmpretrain_vit": ("mmpretrain", "vit_base_patch16_224", VIT),
    "mmpretrain_vit_avg": ("mmpretrain", "vit_base_patch16_224", {**VIT, "global_pool": "avg"}),
    "mmpretrain_dinov2": ("mmpretrain", "vit_base_patch16_224", {**VIT, "init_values": 1e-5}),
    "mmpretrain_beit": ("mmpretrain", "beit_base_patch16_224", VIT),
    "mmpretrain_cae": ("mmpretrain", "beit_base_patch16_224", {**VIT, "use_abs_pos_emb": True}),
    "mmpretrain_swin": ("mmpretrain", "swin_base_patch4_window7_224", SWIN),
    "mmpretrain_resnet": ("mmpretrain", "resnet50", {"channels": (2, 4, 8, 16)}),
    "dinov2": ("dinov2", "vit_base_patch14_dinov2", DINO),
    "dinov2_four_blocks": ("dinov2", "vit_base_patch14_dinov2", DINO),
    "dinov2_registers": ("dinov2", "vit_base_patch14_reg4_dinov2", DINO),
    "dinov2_giant": ("dinov2", "vit_giant_patch14_dinov2", {**DINO, "mlp_ratio": 2.66667 * 2}),
    "moco_v3": ("moco_v3", "vit_base_patch16_224", {**VIT, "num_heads": 12}),
    "mae": ("mae", "vit_base_patch16_224", {**VIT, "global_pool": "avg"}),
    "beit": ("beit", "beit_base_patch16_224", VIT),
    "beitv2": ("beit", "beitv2_base_patch16_224", VIT),
}
"""Format, architecture of timm and its arguments, by file."""

FEATURES = {"dinov2_four_blocks": "cls4_mean"} | dict.fromkeys(
    ("dinov2", "dinov2_registers", "dinov2_giant"), "cls_mean"
)
WRAPPED = {
    "mmpretrain": lambda state: {"meta": {"dataset_meta": {}}, "state_dict": state},
    "dinov2": lambda state: state,
    "moco_v3": lambda state: {"epoch": 90, "arch": "vit_base", "state_dict": state, "best_acc1": 1.0, "optimizer": {}},
    "mae": lambda state: {"model": state},
    "beit": lambda state: {"model": state},
}
"""What each publisher's files hold around the tensors."""


def tensors(arrays: dict[str, np.ndarray], part: str) -> dict[str, torch.Tensor]:
    found = {name.partition("/")[2]: torch.from_numpy(a) for name, a in arrays.items() if name.startswith(f"{part}/")}
    return {name: t.float() if t.dtype == torch.float16 else t for name, t in found.items()}


def saved(case: str, folder: Path) -> tuple[ModelSpec, Path, dict[str, np.ndarray]]:
    """Write the files of a case as its publisher does; returns the entry for them, the checkpoint and all arrays."""
    with np.load(FOLDER / f"{case}.npz") as stored:
        arrays = dict(stored)
    format, architecture, args = CASES[case]
    torch.save(WRAPPED[format](tensors(arrays, "state")), folder / "checkpoint.pth")
    spec = ModelSpec("m", "M", "unspecified", timm=architecture, args={**args, "num_classes": 5})
    if head := tensors(arrays, "head"):
        torch.save(head, folder / "head.pth")
        args = {**args, "num_classes": 0}
        spec = replace(spec, args=args, features=FEATURES[case], head=HeadSpec("file", folder / "head.pth"))
    return spec, folder / "checkpoint.pth", arrays


def largest_error(found: torch.Tensor, wanted: np.ndarray) -> float:
    return float((found - torch.from_numpy(wanted)).abs().max() / np.abs(wanted).max())


def test_every_stored_network_is_tried():
    assert {file.stem for file in FOLDER.glob("*.npz")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_what_the_publishers_code_computed(case, tmp_path):
    spec, checkpoint, arrays = saved(case, tmp_path)
    backbone = load_model(spec, checkpoint=checkpoint, format=CASES[case][0])
    found_out = load_model(spec, checkpoint=checkpoint).record
    # MAE's fine-tuned files have timm's names, and nothing else that tells them
    assert found_out["format"] == ("timm" if case == "mae" else CASES[case][0])
    assert found_out["weights_sha256"] == backbone.record["weights_sha256"]
    pixels = torch.from_numpy(arrays["pixels"]).float()
    features, own = backbone.forward(pixels)
    assert largest_error(features, arrays["features"]) < TOLERANCE
    head = backbone.head
    assert head is not None
    logits = features @ torch.from_numpy(head.weight).T + torch.from_numpy(head.bias)
    assert largest_error(logits, arrays["logits"]) < TOLERANCE
    assert own is None or largest_error(own, arrays["logits"]) < TOLERANCE


@pytest.mark.parametrize("case", ["mmpretrain_dinov2", "beit", "dinov2"])
def test_a_dropped_layer_scale_is_an_error(case, tmp_path):
    """What happened to the reference's DINOv2: a network without LayerScale is given weights that have it."""
    spec, checkpoint, _ = saved(case, tmp_path)
    with pytest.raises(ModelError, match="unexpected"):
        load_model(replace(spec, args={**spec.args, "init_values": 0}), checkpoint=checkpoint)
