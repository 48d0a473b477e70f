"""What a cache of extracted features was made from, and refusing to mix it with anything else."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from moodbench.classes import shown
from moodbench.datasets.images import ImageSource
from moodbench.errors import CacheMismatchError
from moodbench.features.settings import Settings
from moodbench.models.backbone import Backbone
from moodbench.release import versions

Provenance = dict[str, Any]

_IDENTITY = ("model", "transform", "precision", "images", "limit", "layer", "view", "shard")
"""The parts of the provenance that change the numbers: caches that differ here are never mixed."""

_MODEL_IDENTITY = (
    "args",
    "classes",
    "code_sha256",
    "dim",
    "features",
    "head_sha256",
    "image_size",
    "read",
    "weights_sha256",
)
"""The same of the model: where a file came from, and what it is called, changes nothing."""

_PACKAGES = ("moodbench", "numpy", "pillow", "timm", "torch", "torchvision")


def provenance(backbone: Backbone, images: ImageSource, settings: Settings) -> Provenance:
    """Return everything to note about an extraction but batch size and memory layout, which have to be tried."""
    device = settings.torch_device
    return {
        "source": "extract",
        "model": {k: v for k, v in backbone.record.items() if k != "pretext"},
        "pretext": backbone.record.get("pretext"),
        "transform": dict(backbone.transform.record),
        "precision": settings.precision,
        "compile": settings.compile,
        "images": {"fingerprint": images.fingerprint, "count": len(images)},
        "limit": settings.limit if settings.limit is not None and settings.limit < len(images) else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})",
        "versions": versions(*_PACKAGES) | {"python": platform.python_version()},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


class Noted(Protocol):
    """A cache, or the plan of one, that says what it is made from."""

    @property
    def model(self) -> str: ...

    @property
    def dataset(self) -> str: ...

    @property
    def provenance(self) -> dict[str, Any]: ...

    @property
    def class_names(self) -> Sequence[str] | None: ...


def refuse_mismatch(cache: Noted, wanted: Mapping[str, Any], classes: Sequence[str], *, file: str | Path) -> None:
    """Raise a `CacheMismatchError` that names every difference unless the cache in `file` was made from the same.

    `classes` are the names of the classes now; old caches have none, and are not asked.
    """
    there, new = _identity(cache.provenance), _identity(wanted)
    differences = [f"{path}: {old} in the cache, {now} now" for path, old, now in _differences("", there, new)]
    if cache.class_names is not None and tuple(cache.class_names) != tuple(classes):
        differences.append(f"classes: {shown(cache.class_names)} in the cache, {shown(classes)} now")
    if differences:
        other = there["images"] != new["images"] or there["limit"] != new["limit"]
        name = (
            "other images need another --dataset NAME" if other else "give this one a name of its own (--variant NAME)"
        )
        raise CacheMismatchError(
            f"the cached features of '{cache.model}' on '{cache.dataset}' were made from something else\n    "
            + "\n    ".join(differences),
            file=file,
            fix=f"{name}, or make it anew: moodbench cache remove --model {cache.model} --dataset {cache.dataset}",
        )


def other_network(backbone: Backbone, noted: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words how a network and its transform differ from those that a provenance notes."""
    there = _identity(noted)
    now = _identity({**noted, "model": dict(backbone.record), "transform": dict(backbone.transform.record)})
    for path, old, new in _differences("", there, now):
        yield f"{path}: {old} in the cache, {new} now"


def made_otherwise(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Say what two caches of one model were made with that differs: weights, code, transform, precision.

    Images are not looked at, and of features that came from another program nothing is known.
    """
    if {one.get("source"), other.get("source")} != {"extract"}:
        return []
    own = {"images": None, "limit": None}
    found = _differences("", _identity(one) | own, _identity(other) | own)
    return [f"{path}: {old} there, {new} here" for path, old, new in found]


def made_apart(own: Mapping[str, Any], view: Mapping[str, Any]) -> list[str]:
    """Say what rows of a view were made from that the model's own rows of the dataset were not: pictures, how prepared.

    Pictures are told apart by more than their ids here: one in the place of another has its name. What either of the
    two does not say is not compared.
    """
    shared = [key for key in ("images", "precision", "transform") if None not in (own.get(key), view.get(key))]
    found = _differences("", {key: own[key] for key in shared}, {key: view[key] for key in shared})
    return [f"{path}: {theirs} in the view, {its} in the model's own" for path, its, theirs in found]


def _identity(noted: Mapping[str, Any]) -> Provenance:
    identity = {key: noted.get(key) for key in _IDENTITY}
    model = identity["model"] or {}
    compiled = bool(noted.get("compile"))  # absent from old caches, which were not
    return identity | {"compile": compiled, "model": {key: model.get(key) for key in _MODEL_IDENTITY}}


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(f"{path}.{key}".lstrip("."), old.get(key), new.get(key))
    elif old != new:
        yield path, _short(old), _short(new)


def _short(value: Any) -> str:
    text = str(value)
    return "none" if value is None else text[:12] + "…" if len(text) == 64 else text
