"""What the catalogue says about a model: a checkpoint of a timm architecture, and what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from moodbench.catalog.entry import Entry

PRETEXT_TASKS = (
    "classification",
    "contrastive",
    "self-distillation",
    "masked image modeling",
    "multimodal",
    "hybrid",
    "unspecified",
)
"""The pretext tasks a model can name, in the order in which tables and plots show them."""

TUNINGS = ("end-to-end", "linear", "none")
"""How the classifier was trained: with the whole network, on the frozen backbone, or there is none."""

IMAGE_KEYS = ("size", "crop", "crop_mode", "interpolation", "mean", "std")
"""What an entry may say about its pictures over what the transform says by itself."""


@dataclass(frozen=True)
class HeadSpec:
    """Where the classifier is.

    Attributes
    ----------
    kind : {"own", "none", "file"}
        In the checkpoint, nowhere, or in a file of its own.
    path, url : Path, str or None
        One of them for ``file``: tensors ``weight`` (C, D) and ``bias`` (C,), under whatever prefix.
    sha256 : str or None
    """

    kind: str = "own"
    path: Path | None = None
    url: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class ModelSpec:
    """A named checkpoint of a timm architecture, with its pretext task.

    Attributes
    ----------
    name, title, pretext : str
    timm : str
        Architecture, with the tag of its weights where they are timm's own.
    method : str or None
        The training method by its own name.
    args : mapping
        For ``timm.create_model``.
    checkpoint, url : Path, str or None
        Weights from a file or an address; without either they are timm's own.
    sha256 : str or None
        Of that file. `bytes` is its size.
    format : str or None
        Checkpoint format; None: found out from the names of the tensors.
    features : str
        How features are read off the network, a name in `moodbench.models.features`.
    head : HeadSpec
    transform : str
        A name in `moodbench.models.transforms`; `image` overrides single values of it (`IMAGE_KEYS`).
    data : str or None
        What the backbone was pretrained on.
    labels_seen : str or None
        Labels met in training besides those of the head.
    text_supervision : bool
        Pairs of pictures and text had a part in it: as data, teacher or tokenizer.
    tuning : str or None
        One of `TUNINGS`.
    params : float or None
        Millions of parameters.
    top1 : float or None
        ImageNet-1k top-1 in percent as its publisher measured it.
    reference_note : str or None
        How the MOODv2 reference differs.
    note : str or None
        What somebody who uses it must know.
    variants : mapping of name to mapping
        Keys that differ in the variant, as in the entry. `variant` applies them.
    """

    name: str
    title: str
    pretext: str
    timm: str
    method: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    format: str | None = None
    features: str = "pre_logits"
    head: HeadSpec = field(default_factory=HeadSpec)
    transform: str = "model"
    image: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    labels_seen: str | None = None
    text_supervision: bool = False
    tuning: str | None = None
    params: float | None = None
    top1: float | None = None
    paper: str | None = None
    licence: str | None = None
    reference_note: str | None = None
    note: str | None = None
    variants: Mapping[str, ModelSpec] = field(default_factory=dict)

    def variant(self, name: str | None) -> ModelSpec:
        """Return the settings of the declared variant `name`; of an undeclared one, the model's own."""
        return self if name is None else self.variants.get(name, self)


def build_model(name: str, entry: Entry) -> ModelSpec:
    """Check the keys of a model's entry."""
    variants = entry.take("variants", dict, {})
    shared = entry.rest()
    base = _settings(name, entry)
    made = {}
    for variant, changes in variants.items():
        if not isinstance(variant, str) or not variant or set(variant) & set("@+:/\\ "):
            raise entry.error(f"has a variant '{variant}', which cannot be its name")
        changed = Entry(entry.kind, f"{name}@{variant}", {} if changes is None else changes, entry.file)
        # with other weights, what the entry says about its own does not hold
        other = set(changed.rest()) & {"timm", "checkpoint", "url"}
        kept = {key: value for key, value in shared.items() if not other or key not in _OF_THE_WEIGHTS}
        whole = Entry(entry.kind, f"{name}@{variant}", {**kept, **changed.rest()}, entry.file)
        made[variant] = _settings(name, whole)
        whole.finish()
    return replace(base, variants=made)


_OF_THE_WEIGHTS = ("checkpoint", "url", "sha256", "bytes", "format", "labels_seen", "top1", "note")


def _settings(name: str, entry: Entry) -> ModelSpec:
    spec = ModelSpec(
        name=name,
        title=entry.take("title", str),
        pretext=entry.choice("pretext", PRETEXT_TASKS),
        timm=entry.take("timm", str),
        method=entry.text("method"),
        args=entry.take("args", dict, {}),
        checkpoint=entry.path("checkpoint"),
        url=entry.text("url"),
        sha256=entry.digest("sha256", None),
        bytes=entry.size("bytes", None),
        format=entry.text("format"),
        features=entry.take("features", str, "pre_logits"),
        head=_head(entry),
        transform=entry.take("transform", str, "model"),
        image=_image(entry),
        data=entry.text("data"),
        labels_seen=entry.text("labels_seen"),
        text_supervision=entry.take("text_supervision", bool, False),
        tuning=entry.choice("tuning", TUNINGS) if entry.has("tuning") else None,
        params=entry.take("params", (int, float), None),
        top1=entry.take("top1", (int, float), None),
        paper=entry.text("paper"),
        licence=entry.text("licence"),
        reference_note=entry.text("reference_note"),
        note=entry.text("note"),
    )
    if spec.checkpoint is not None and spec.url is not None:
        raise entry.error("has both 'checkpoint' and 'url'")
    return spec


def _head(entry: Entry) -> HeadSpec:
    value = entry.take("head", (bool, str, dict), True)
    if isinstance(value, bool):
        return HeadSpec("own" if value else "none")
    if isinstance(value, str):
        if value not in ("own", "none"):
            raise entry.error(f"has head: '{value}'", fix="write own, none, or a mapping with 'path' or 'url'")
        return HeadSpec(value)
    own = Entry(entry.kind, f"{entry.name}: head", value, entry.file)
    spec = HeadSpec("file", own.path("path"), own.text("url"), own.digest("sha256", None))
    if (spec.path is None) == (spec.url is None):
        raise own.error("needs either 'path' or 'url'")
    own.finish()
    return spec


def _image(entry: Entry) -> dict[str, Any]:
    value: dict[str, Any] = entry.take("image", dict, {})
    unknown = sorted(set(value) - set(IMAGE_KEYS))
    if unknown:
        raise entry.error(f"has image: with the unknown key '{unknown[0]}'", fix=f"known: {', '.join(IMAGE_KEYS)}")
    return value
