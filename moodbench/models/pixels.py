"""Picture → the square of bytes that a network is shown → its normalised tensor.

Two halves, because they run in different places: the bytes are made in decoding workers, which hand over a quarter of
what floats would be, and the normalisation happens beside the network. Both give the very numbers that timm's own
pipeline gives (`tests/unit/test_decoders.py` holds that), unless the record says ``decoder: fast``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Pixels = NDArray[np.uint8]

_KERNELS = ("bilinear", "bicubic")
"""What torch can resize bytes with."""


def square(record: Mapping[str, Any]) -> Callable[[Image.Image], Pixels]:
    """Return the function picture → (size, size, 3) uint8 of a transform's record. What it returns may be read-only."""
    fast = record.get("decoder") == "fast" and record["crop_mode"] != "border" and record["interpolation"] in _KERNELS
    return _by_torch(record) if fast else _by_pillow(record)


def _by_pillow(record: Mapping[str, Any]) -> Callable[[Image.Image], Pixels]:
    """timm's pipeline without its last two steps, which are the normalisation."""
    from timm.data.transforms_factory import create_transform

    used = {key: record[key] for key in ("interpolation", "crop_pct", "crop_mode", "mean", "std")}
    size = record["size"]
    steps: list[Callable[[Image.Image], Image.Image]]
    steps = create_transform((3, size, size), is_training=False, **used).transforms[:-2]

    def make(image: Image.Image) -> Pixels:
        for step in steps:
            image = step(image)
        return np.asarray(image)

    return make


def _by_torch(record: Mapping[str, Any]) -> Callable[[Image.Image], Pixels]:
    """The same with torch's kernel for bytes: several times faster, and some pixels differ by one or two."""

    def make(image: Image.Image) -> Pixels:
        (width, height), (left, top) = layout(record, image.size)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
        resized = torch.nn.functional.interpolate(pixels, (height, width), mode=record["interpolation"], antialias=True)
        return resized[0, :, top : top + record["size"], left : left + record["size"]].permute(1, 2, 0).numpy()

    return make


def layout(record: Mapping[str, Any], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (width, height) that a picture of `size` is resized to, and (left, top) of the square cut out of that.

    With the rounding of torchvision's ``Resize`` and ``CenterCrop``.
    """
    width, height = size
    edge = record["resize"]
    if record["crop_mode"] == "squash":
        new = (edge, edge)
    elif width <= height:
        new = (edge, int(edge * height / width))
    else:
        new = (int(edge * width / height), edge)
    left, top = (round((length - record["size"]) / 2.0) for length in new)
    return new, (left, top)


class Normalise:
    """Bytes → floats: ``(pixels / 255 - mean) / std``.

    Parameters
    ----------
    mean, std : sequence of three floats
        On the scale 0 to 1.
    """

    def __init__(self, mean: Any, std: Any) -> None:
        self.white = torch.tensor(255.0)
        self.mean = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return (B, 3, H, W) float32 of (B, H, W, 3) uint8, on the device of `pixels`."""
        # dividing by a number, CUDA multiplies with its inverse, which rounds otherwise: so by a tensor
        white, mean, std = (part.to(pixels.device) for part in (self.white, self.mean, self.std))
        planes = pixels.permute(0, 3, 1, 2)
        if pixels.device.type != "cpu":
            return planes.float().div_(white).sub_(mean).div_(std)
        made = torch.empty(planes.shape)
        for source, target in zip(planes, made, strict=True):  # one picture at a time stays in the processor's cache
            target.copy_(source).div_(white).sub_(mean).div_(std)
        return made
