"""Small networks of other libraries, built from configurations with weights of chance, and saved as people do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIDE = 32
NAMES = ("cat", "dog", "fox")


def vit_config(**changes: Any) -> Any:
    """Return the configuration of a small ViT of transformers."""
    from transformers import ViTConfig

    names = dict(enumerate(NAMES))
    values = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": SIDE,
        "patch_size": 8,
        "id2label": names,
        "label2id": {name: i for i, name in names.items()},
    }
    return ViTConfig(**(values | changes))


def redrawn(network: Any, seed: int = 0) -> Any:
    """Draw weights that are no small numbers, and no zeros where a library begins with zeros."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * weight[0].numel() ** -0.5)
            elif name.endswith("bias"):
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
    return network.eval()


def saved(folder: Path, network: Any, *, processor: bool = True) -> Path:
    """Save a network as its users do, with an image processor that resizes and normalises."""
    from transformers import ViTImageProcessor

    from moodbench.models.outside.hf_open import quiet

    with quiet():
        network.save_pretrained(folder)
    if processor:
        made = ViTImageProcessor(
            size={"height": SIDE, "width": SIDE}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.25]
        )
        made.save_pretrained(folder)
    return folder


def vit(folder: Path, **changes: Any) -> Path:
    """Save a small ViT that classifies."""
    from transformers import ViTForImageClassification

    return saved(folder, redrawn(ViTForImageClassification(vit_config(**changes))))
