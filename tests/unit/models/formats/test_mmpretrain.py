"""Checkpoints of mmpretrain: renamed there and back."""

from __future__ import annotations

import re

import pytest
import torch

from moodbench.models.formats.base import FORMATS, detect_format
from tests.networks import SMALL_VIT, random_network

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
