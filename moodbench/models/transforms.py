"""What is done to a picture before a network sees it.

A transform is a plain record of numbers, and the record is what is executed: what a cache notes about its
preprocessing is therefore exactly what happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from moodbench.catalog import ModelSpec, check_image
from moodbench.errors import ModelError, UsageError
from moodbench.models.clip.library import known
from moodbench.models.outside.library import library_of
from moodbench.models.pixels import Normalise, Pixels, square
from moodbench.registry import Registry

DataConfig = Mapping[str, Any]
"""What timm knows about a network's input: input_size, interpolation, crop_pct, crop_mode, mean, std."""

TRANSFORMS: Registry[Callable[[DataConfig, int], dict[str, Any]]] = Registry("transform")
"""Functions (data config, side of the square in pixels) → record of a `Transform`."""


class ImageTransform(Protocol):
    """What a `Backbone` needs: a picture in, a tensor out, and a record of what it does."""

    @property
    def record(self) -> dict[str, Any]:
        """JSON-able description; two transforms with equal records make equal tensors."""
        ...

    def __call__(self, image: Image.Image) -> Tensor: ...


@dataclass(frozen=True)
class Transform:
    """Resize, crop and normalise a picture as `record` says. Picklable.

    Attributes
    ----------
    record : dict
        ``kind``; ``size`` (side of the result in pixels); ``resize`` and ``crop_mode`` (``center``: the short edge is
        resized to `resize`, ``squash``: both edges, ``border``: the long edge; then the middle is cut out);
        ``crop_pct``; ``interpolation``; ``antialias``; ``mean`` and ``std`` (per channel, on the scale 0 to 1);
        ``decoder`` (only where it is not the exact one).
    """

    record: dict[str, Any]

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the (3, size, size) float32 tensor of an RGB picture."""
        return self.normalised(torch.from_numpy(self.pixels(image).copy())[None])[0]

    def pixels(self, image: Image.Image) -> Pixels:
        """Return the (size, size, 3) uint8 square of an RGB picture, before it is normalised. May be read-only."""
        return self._square(image)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return (B, 3, size, size) float32 of the (B, size, size, 3) uint8 `pixels`, on their device."""
        return self._normalise(pixels)

    @property
    def decodable_at(self) -> int | None:
        """Shortest edge that a JPEG may be decoded at instead of its own, or None if that would change pixels."""
        return 2 * int(self.record["resize"]) if self.record.get("decoder") == "fast" else None

    def fast(self) -> Transform:
        """Return the same with ``decoder: fast``: other pixels, sooner; see docs/performance.md."""
        return Transform({**self.record, "decoder": "fast"})

    @cached_property
    def _square(self) -> Callable[[Image.Image], Pixels]:
        return square(self.record)

    @cached_property
    def _normalise(self) -> Normalise:
        return Normalise(self.record["mean"], self.record["std"])

    def __getstate__(self) -> dict[str, Any]:
        return {"record": self.record}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def build_transform(
    kind: str,
    network_or_cfg: nn.Module | DataConfig,
    image_size: int | None = None,
    image: Mapping[str, Any] | None = None,
) -> Transform:
    """Return the transform `kind` for a network.

    Parameters
    ----------
    kind : str
        A name in `TRANSFORMS`: ``model`` (what the network was evaluated with by its publishers, as timm records it)
        or ``moodv2`` (the same for every network, as in the MOODv2 reference).
    network_or_cfg : Module or mapping
        A timm network, or the data config itself.
    image_size : int, optional
        Side of the square that the network really takes. timm's own config ignores the `img_size` a network was
        built with, so it must be given where that was set.
    image : mapping, optional
        Single values over those of `kind`: ``size`` (over `image_size` too), ``crop``, ``crop_mode``,
        ``interpolation``, ``mean``, ``std``, as in an entry of the catalogue.

    Raises
    ------
    UnknownNameError
        There is no transform of that kind.
    UsageError
        A value of `image` makes no sense.
    ModelError
        The network takes pictures that are not square, or does not say what it takes.
    """
    build = TRANSFORMS.get(kind)
    try:
        own = check_image(image or {})
    except ValueError as error:
        raise UsageError(f"the pictures cannot be prepared with {error}") from None
    config = _data_config(network_or_cfg)
    record = build(config, own.get("size") or image_size or _native_size(config))
    return Transform(_corrected(record, own))


def _native_size(config: DataConfig) -> int:
    if "input_size" not in config:
        raise ModelError("the network does not say how large its pictures are", fix="give image_size=")
    _, height, width = config["input_size"]
    if height != width:
        raise ModelError(f"the network takes pictures of {height} × {width} pixels; only squares are supported")
    return int(height)


def _corrected(record: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a transform with single values replaced."""
    made = {**record, **{"crop_pct" if key == "crop" else key: value for key, value in image.items()}}
    return {**made, "resize": _resize(made["size"], made["crop_pct"])}


def _resize(size: int, crop_pct: float) -> int:
    return math.floor(size / crop_pct)


_UNSAID: DataConfig = {"input_size": (3, 224, 224), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""Stands for what only an opened network says, where settings are compared with one another to name what differs."""


def image_of(spec: ModelSpec, kind: str) -> dict[str, Any]:
    """Return the single values of an entry that hold under the transform `kind`.

    They correct the entry's own transform; of another one only the size is left, which is the network's.
    """
    return dict(spec.image) if kind == spec.transform else {k: v for k, v in spec.image.items() if k == "size"}


def record_of(spec: ModelSpec) -> dict[str, Any]:
    """Return the record of the transform that an entry's pictures go through, without building its network."""
    size = spec.args.get("img_size")
    side = size if isinstance(size, int) else None
    return build_transform(spec.transform, _data_config_of(spec), side, image_of(spec, spec.transform)).record


def sized(spec: ModelSpec) -> ModelSpec:
    """Return the entry so that its network is built for the size of its pictures (``image: {size: …}``).

    An architecture with tables for positions takes ``img_size`` and resamples them; one that convolves takes pictures
    of any size as it is.
    """
    size = spec.image.get("size")
    if spec.clip is not None:  # open_clip is told when it builds
        return spec
    if spec.network is not None:  # it is as it was built
        return spec
    record = _data_config_of(spec)
    built = spec.args.get("img_size") or record.get("input_size", (0, 0, 0))[1]
    if size is None or size == built or not ("img_size" in spec.args or record.get("fixed_input_size")):
        return spec
    return replace(spec, args={**spec.args, "img_size": size})


def _data_config_of(spec: ModelSpec) -> DataConfig:
    if spec.clip is not None:
        return known(spec.clip).pictures
    if spec.network is not None:
        found = library_of(spec).data_config(spec)
        return _UNSAID if found is None else found
    from timm.models import get_pretrained_cfg

    import moodbench.models.small_resnet  # noqa: F401 (imported for the architecture that it registers)

    config: Any = get_pretrained_cfg(spec.timm)
    record: DataConfig = {} if config is None else config.to_dict()
    return record


@TRANSFORMS.register("model")
def _model(config: DataConfig, size: int) -> dict[str, Any]:
    """The transform that the network was evaluated with, scaled to `size`."""
    if not config:
        raise ModelError(
            "the network does not say how its pictures are prepared", fix="give a data config, or use 'moodv2'"
        )
    return _record(
        "model",
        size,
        crop_pct=float(config["crop_pct"]),
        crop_mode=str(config["crop_mode"]),
        interpolation=str(config["interpolation"]),
        mean=[float(v) for v in config["mean"]],
        std=[float(v) for v in config["std"]],
    )


@TRANSFORMS.register("moodv2")
def _moodv2(config: DataConfig, size: int) -> dict[str, Any]:
    """The reference's transform: squeezed to the square without cropping, bilinear, mean and std 0.5."""
    half = [0.5, 0.5, 0.5]
    return _record("moodv2", size, crop_pct=1.0, crop_mode="squash", interpolation="bilinear", mean=half, std=half)


def _record(kind: str, size: int, *, crop_pct: float, **rest: Any) -> dict[str, Any]:
    resize = _resize(size, crop_pct)
    return {"kind": kind, "size": size, "resize": resize, "crop_pct": crop_pct, "antialias": True, **rest}


def _data_config(network_or_cfg: nn.Module | DataConfig) -> DataConfig:
    from timm.data.config import resolve_data_config

    if isinstance(network_or_cfg, nn.Module):
        network_or_cfg = getattr(network_or_cfg, "pretrained_cfg", None) or {}
    if not network_or_cfg:
        return {}
    resolve: Any = resolve_data_config  # untyped
    config: DataConfig = resolve(pretrained_cfg=dict(network_or_cfg))
    return config
