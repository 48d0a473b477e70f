"""What the features of a network of transformers without a classifier are.

They have no word for it that all share. In this order: the embedding in the space that pictures share with texts, what
the network itself pools (unless those weights were never trained), the class token, the mean over patches or map.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.head import as_vectors

IMAGE = "image embedding"
POOLED = "pooled by the network"
CLASS_TOKEN = "class token"
MEAN = "mean over patches or map"


@dataclass(frozen=True)
class Headless:
    """Reads features of a network without a classifier, in one of the ways above."""

    way: str

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return (B, D) of (B, 3, H, W)."""
        net: Any = network
        if self.way == IMAGE:
            found = net.get_image_features(pixel_values=images)
            return as_vectors(found if isinstance(found, Tensor) else found.pooler_output)
        output = network(images, **_unshuffled(network, images))
        if self.way == POOLED:
            return as_vectors(output.pooler_output)
        last: Tensor = output.last_hidden_state
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if self.way == CLASS_TOKEN else last.mean(1)


def _unshuffled(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return what keeps a masked autoencoder from masking at random: numbers that rise from patch to patch."""
    if "noise" not in inspect.signature(network.forward).parameters:
        return {}
    net: Any = network
    patches = int(net.embeddings.patch_embeddings.num_patches)
    return {"noise": torch.arange(patches, dtype=images.dtype, device=images.device).expand(len(images), patches)}


def headless(network: nn.Module, images: Tensor, name: str, *, pooler: bool) -> Headless:
    """Return how features are read off a network.

    Parameters
    ----------
    network : Module
    images : (B, 3, H, W) float32
        To try it on.
    name : str
        For messages.
    pooler : bool
        False: what the network pools goes through weights that nobody trained.

    Raises
    ------
    ModelError
        It returns nothing of the kind.
    """
    ways = [IMAGE] if hasattr(network, "get_image_features") else []
    ways += [POOLED] if pooler else []
    ways += [CLASS_TOKEN] if _has_class_token(network) else []
    faults = []
    for way in (*ways, MEAN):
        try:
            with torch.no_grad():
                found = Headless(way)(network, images)
        except Exception as error:  # it returns no such thing, or wants texts too
            faults.append(f"{type(error).__name__}: {error}")
            continue
        if isinstance(found, Tensor) and found.ndim == 2 and len(found) == len(images):
            return Headless(way)
    raise ModelError(
        f"it cannot be told where the features of '{name}' ({type(network).__name__}) are"
        + (f": {' '.join(faults[-1].split())[:200]}" if faults else ""),
        fix="write a function that returns them: module:FILE.py:FUNCTION (see docs/any_model.md)",
    )


def _has_class_token(network: nn.Module) -> bool:
    words = ("cls_token", "class_embedding", "class_token")
    return any(name.rpartition(".")[2] in words for name, _ in network.named_parameters())
