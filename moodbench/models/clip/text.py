"""The text tower of a network of open_clip: sentences → embeddings of unit length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.clip.build import build
from moodbench.models.clip.library import check_installed, open_clip, quiet

BATCH = 256
"""Sentences that are embedded at once."""


@dataclass(frozen=True)
class TextTower:
    """Embeds sentences where pictures are embedded too.

    Attributes
    ----------
    network : Module
        Both towers.
    tokenizer : callable
    device : torch.device
    scale : float
        By which the network multiplies cosines of pictures and texts: the logit scale.
    bias : float
        What it adds to them (SigLIP), or 0.
    image_sha256, text_sha256 : str
        SHA-256 of the weights of the image tower, as caches note it, and of everything else.
    source : str
        Where the weights are from.
    """

    network: nn.Module
    tokenizer: Callable[[list[str]], Tensor]
    device: torch.device
    scale: float
    bias: float
    image_sha256: str
    text_sha256: str
    source: str

    def embed(self, texts: Sequence[str], tick: Callable[[float], object] = lambda done: None) -> Tensor:
        """Return (n, D) float32 embeddings of unit length, on the CPU.

        Sentences longer than the network reads are cut off at their end by its tokenizer.
        """
        network: Any = self.network
        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                some = list(texts[start : start + BATCH])
                found = network.encode_text(self.tokenizer(some).to(self.device)).float()
                rows.append(nn.functional.normalize(found, dim=-1).cpu())
                tick(len(some))
        return torch.cat(rows)


def load_text_tower(
    spec: ModelSpec, device: torch.device, *, checkpoint: Path | None = None, checkpoint_key: str | None = None
) -> TextTower:
    """Return the text tower of a model.

    Raises
    ------
    ModelError
        It has none; or open_clip, the weights or the tokenizer cannot be had.
    """
    if spec.clip is None:
        raise ModelError(
            f"'{spec.name}' has no text tower, so texts cannot be compared with its features",
            fix="use a model of open_clip: clip:ARCH/TAG, as clip:ViT-B-16/openai, or an entry of them "
            "(moodbench list models clip)",
        )
    check_installed()
    network, one, source = build(spec, checkpoint, checkpoint_key)
    towers: Any = network
    try:
        with quiet():
            tokenizer = open_clip().get_tokenizer(one.architecture)
    except Exception as error:  # of hub clients and packages that some tokenizers need
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"the tokenizer of '{one.architecture}' cannot be had: {reason}",
            fix="those of SigLIP and some others need the package transformers, and a network or a hub cache",
        ) from error
    bias = getattr(towers, "logit_bias", None)
    return TextTower(
        network.to(device),
        tokenizer,
        device,
        float(towers.logit_scale.double().exp()),
        0.0 if bias is None else float(bias),
        weights_sha256(towers.visual),
        weights_sha256(_texts_alone(network)),
        source,
    )


def _texts_alone(network: nn.Module) -> nn.Module:
    """Return a module with all weights but those of the image tower."""
    rest = nn.Module()
    for name, module in network.named_children():
        if name != "visual":
            rest.add_module(name, module)
    for name, weight in network.named_parameters(recurse=False):
        rest.register_parameter(name, weight)
    return rest
