"""A network from elsewhere as a backbone: its classifier found and proved, its pictures prepared as its own are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError, MoodbenchError, UsageError
from moodbench.models.backbone import Backbone, Compute, CustomPass
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.features import PRE_LOGITS, read_head
from moodbench.models.head import NO_HEAD
from moodbench.models.outside.head_input import answer_of, find_head
from moodbench.models.outside.labels import are_imagenet
from moodbench.models.outside.library import Opened, library_of
from moodbench.models.outside.noise import pictures_of_noise
from moodbench.models.outside.pictures import one_line
from moodbench.models.outside.rows import check_rows
from moodbench.models.sources import fetched, head_file, own_file
from moodbench.models.transforms import ImageTransform, build_transform, image_of
from moodbench.models.weights import by_hand
from moodbench.prefixes import exported
from moodbench.types import Head

Features = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class _Read:
    """How features and logits are read, with what of it belongs into the record."""

    head: Head | None
    compute: Compute
    dim: int
    record: dict[str, Any]


def load_outside(
    spec: ModelSpec, *, checkpoint: Path | None = None, checkpoint_key: str | None = None, transform: str | None = None
) -> Backbone:
    """Return the network of an entry from elsewhere; parameters and errors as of `moodbench.models.load_model`."""
    kind = transform or spec.transform
    spec = replace(spec, image=image_of(spec, kind), transform=kind)
    if spec.features != PRE_LOGITS and not exported(spec.network):
        raise ModelError(
            f"the features of '{spec.name}' are what its own classifier reads, not '{spec.features}'",
            fix="leave --features out",
        )
    library = library_of(spec)
    opened = library.open(spec, *_file(spec, checkpoint, checkpoint_key))
    opened.network.eval()
    for weight in opened.network.parameters():  # one by one: programs of TorchScript have no other way
        weight.requires_grad_(False)
    pictures = _pictures(spec, opened)
    size = int(pictures.record["size"])
    try:
        read = _read(spec, opened, size)
        if (add_layers := getattr(library, "add_layers", None)) is not None:
            add_layers(opened, _Features(read.compute), size)
    except MoodbenchError:
        raise
    except Exception as error:  # of code that is somebody else's: sizes, shapes, whatever it asserts
        raise ModelError(
            f"the network of '{spec.name}' does not take pictures of {size} × {size} pixels: {one_line(error)}"
        ) from error
    record: dict[str, Any] = {
        "name": spec.name,
        "network": spec.network,
        "args": {},
        "weights_sha256": opened.record.get("weights_sha256") or weights_sha256(opened.network),
        "classes": None if read.head is None else read.head.classes,
        "dim": read.dim,
        "image_size": size,
        "pretext": spec.pretext,
    }
    noted = {key: value for key, value in opened.record.items() if value is not None}
    return Backbone(opened.network, read.head, pictures, size, record | noted | read.record, read.compute)


def _file(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> tuple[Path | None, str | None]:
    """Return the file that the weights are in, where they are not the library's own, and which part of it."""
    if checkpoint is not None:
        return checkpoint, key
    if spec.checkpoint is not None:
        return own_file(f"checkpoint of '{spec.name}'", spec.checkpoint, spec.sha256), spec.checkpoint_key
    if spec.url is not None:
        return fetched(spec.name, spec.url, spec.sha256), spec.checkpoint_key
    if spec.by_hand is not None:
        raise by_hand(spec)
    return None, None


def _pictures(spec: ModelSpec, opened: Opened) -> ImageTransform:
    """Return how pictures are prepared: by the model's own transform, or by one of moodbench's."""
    image: Mapping[str, Any] = spec.image
    if spec.transform == "model" and opened.transform is not None:
        if image:
            raise UsageError(
                f"the pictures of '{spec.name}' are prepared by its own transform, which is left as it is "
                f"(given: {', '.join(image)})",
                fix="leave that out, change the model's own files, or use --transform moodv2",
            )
        own: ImageTransform = opened.transform
        return own
    said = {**opened.config, **image}
    if spec.transform == "model" and not said.keys() >= {"mean", "std"}:
        raise ModelError(
            f"'{spec.name}' does not say how its pictures are prepared",
            fix="say it as in training: --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --crop 0.875 --interpolation "
            "bicubic, or --transform moodv2",
        )
    if "input_size" not in opened.config and "size" not in image:
        raise ModelError(
            f"'{spec.name}' does not say how large its pictures are", fix="--image-size 224, as in training"
        )
    config = dict(opened.config) if "input_size" in opened.config else {"input_size": (3, image["size"], image["size"])}
    return build_transform(spec.transform, config, image=image)


def _read(spec: ModelSpec, opened: Opened, size: int) -> _Read:
    """Return features, head and how both are computed."""
    images = pictures_of_noise(size)
    network: nn.Module = opened.network
    if opened.compute is not None:
        head, compute, record = opened.head, opened.compute, dict[str, Any]()
    else:
        head, compute, record = _own(spec, opened, images)
    head, record = _named(head, opened.class_names, record, spec)
    features = _Features(compute)
    with torch.no_grad():
        made = features(network, images)
    if made.ndim != 2 or len(made) != len(images):
        raise ModelError(
            f"the features of '{spec.name}' have the shape {tuple(made.shape)}, not one vector for each of "
            f"{len(images)} pictures",
            fix="pool them, or flatten what is (B, D, 1, 1)",
        )
    check_rows(lambda some: features(network, some), images, spec.name)
    dim = int(made.shape[1])
    if spec.head.kind == "own":
        return _Read(head, compute, dim, record)
    record = {key: value for key, value in record.items() if key != "head_names"}
    if spec.head.kind == "none":
        return _Read(None, CustomPass(features, None), dim, record)
    file, source = head_file(spec)
    other = read_head(file)
    if other.dim != dim:
        raise ModelError(
            f"the head reads {other.dim} numbers, but the features of '{spec.name}' are {dim} wide",
            file=file,
            fix="use the head that belongs to this network",
        )
    record |= {"head": source, "head_sha256": file_sha256(file)}
    return _Read(other, CustomPass(features, other), dim, record)


def _own(spec: ModelSpec, opened: Opened, images: Tensor) -> tuple[Head | None, Compute, dict[str, Any]]:
    """Return the classifier of a network, and how what it reads is read."""
    if opened.features is not None:
        return None, CustomPass(opened.features, None), {}
    try:
        found = find_head(opened.network, images, spec.name)
    except ModelError:
        if spec.head.kind == "own":
            raise
        return None, CustomPass(_answer, None), {"read": "the network's output"}
    noted = {} if found.how == "plain" else {"classifier": found.how}
    return found.head, found.compute, noted


def _named(
    head: Head | None, names: tuple[str, ...] | None, record: dict[str, Any], spec: ModelSpec
) -> tuple[Head | None, dict[str, Any]]:
    """Return the head with the names of its classes, or say in the record whose they are."""
    if head is None or names is None or head.class_names is not None:
        return head, record
    if len(names) != head.classes:
        raise ModelError(
            f"'{spec.name}' has {head.classes} outputs and {len(names)} names of classes",
            fix=f"correct them, or {NO_HEAD}",
        )
    if are_imagenet(names):
        return head, record | {"head_names": "imagenet"}
    return replace(head, class_names=names), record


def _answer(network: nn.Module, images: Tensor) -> Tensor:
    return answer_of(network(images))


@dataclass(frozen=True)
class _Features:
    """The features of a pass, without its logits."""

    compute: Compute

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        if isinstance(self.compute, CustomPass):
            return self.compute.features(network, images)
        return self.compute(network, images)[0]
