"""The image tower of a network of open_clip as a backbone: projected embeddings of unit length, and no classifier."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError
from moodbench.models.backbone import Backbone, CustomPass
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.clip.build import build, quick_gelu
from moodbench.models.features import PRE_LOGITS, read_head
from moodbench.models.sources import head_file
from moodbench.models.transforms import build_transform, image_of
from moodbench.types import Head

OPEN_CLIP = "open_clip"
"""What caches note as the format of the weights."""


def load_clip(
    spec: ModelSpec, *, checkpoint: Path | None = None, checkpoint_key: str | None = None, transform: str | None = None
) -> Backbone:
    """Return the image tower of an entry of open_clip; parameters and errors as those of `moodbench.models.load_model`.

    Its features are the embeddings in the space that pictures share with texts, of unit length: what texts are
    compared with. Text heads (``moodbench head text``) are linear on them.
    """
    if spec.features != PRE_LOGITS:
        raise ModelError(
            f"'{spec.name}' is a network of open_clip, whose features are its image embeddings, not '{spec.features}'",
            fix="leave --features out",
        )
    kind = transform or spec.transform
    image = image_of(spec, kind)
    network, one, source = build(spec, checkpoint, checkpoint_key, image_size=image.get("size"))
    tower: nn.Module = network.visual  # type: ignore[assignment]
    size = int(image.get("size") or one.image_size)
    pictures = build_transform(kind, one.pictures, size, image=image)
    dim = _width(tower, size, spec)
    head, noted = _head(spec, dim)
    record = {
        "name": spec.name,
        "clip": spec.clip,
        "args": {"quick_gelu": quick_gelu(spec, one)},
        "weights": source,
        "weights_sha256": weights_sha256(tower),
        "classes": None if head is None else head.classes,
        "dim": dim,
        "image_size": size,
        "pretext": spec.pretext,
        "format": OPEN_CLIP,
        "open_clip": version("open_clip_torch"),
    }
    if size != one.image_size:
        record["positions"] = "bicubic, by open_clip"
    return Backbone(tower, head, pictures, size, record | noted, CustomPass(Embeddings(), head))


@dataclass(frozen=True)
class Embeddings:
    """Reads (B, D) image embeddings of unit length off an image tower."""

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """Compute them; of towers that return their tokens too, the pooled ones alone."""
        found = network(images)
        pooled: Tensor = found[0] if isinstance(found, tuple) else found
        return nn.functional.normalize(pooled.float(), dim=-1)


def _width(tower: nn.Module, size: int, spec: ModelSpec) -> int:
    try:
        with torch.inference_mode():
            return int(Embeddings()(tower, torch.zeros(1, 3, size, size)).shape[1])
    except (RuntimeError, AssertionError, ValueError) as error:  # architectures say it in their own ways
        raise ModelError(
            f"the network of '{spec.name}' does not take pictures of {size} × {size} pixels: {error}",
            fix="choose another --image-size, or leave it out",
        ) from error


def _head(spec: ModelSpec, dim: int) -> tuple[Head | None, dict[str, Any]]:
    """Return a classifier that comes in a file of its own, with what of it belongs into the record."""
    if spec.head.kind != "file":
        return None, {}
    file, source = head_file(spec)
    head = read_head(file)
    if head.dim != dim:
        raise ModelError(
            f"the head reads {head.dim} numbers, but the embeddings of '{spec.name}' are {dim} wide",
            file=file,
            fix="use the head that belongs to this network",
        )
    return head, {"head": source, "head_sha256": file_sha256(file)}
