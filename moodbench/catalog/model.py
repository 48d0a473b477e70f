"""What the catalogue says about a model: a checkpoint of a timm architecture, and what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from urllib.parse import urlsplit

from moodbench.catalog.entry import Entry
from moodbench.catalog.image import check_image
from moodbench.choices import PretextTask
from moodbench.names import file_fault, name_fault

PRETEXT_TASKS: tuple[PretextTask, ...] = get_args(PretextTask)
"""The pretext tasks a model can name, in the order in which tables and plots show them."""

TUNINGS = ("end-to-end", "linear", "none")
"""How the classifier was trained: with the whole network, on the frozen backbone, or there is none."""


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
    checkpoint_key : str or None
        Which part of that file, where it holds more than one network (`moodbench.models.checkpoint`).
    format : str or None
        Checkpoint format; None: found out from the names of the tensors.
    features : str
        How features are read off the network, a name in `moodbench.models.features`.
    head : HeadSpec
    transform : str
        A name in `moodbench.models.transforms`; `image` overrides single values of it
        (`moodbench.catalog.image.IMAGE_KEYS`).
    data : str or None
        What the backbone was pretrained on.
    labels_seen : str or None
        Labels met in training besides those of the head: ``none``, or which. None: not said.
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
    checkpoint_key: str | None = None
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
        """Return the settings that the variant `name` begins from.

        Those of the declared variant of that name, or of the one that it continues (``fair-bf16`` is ``fair`` with
        something else); the model's own for any other name.
        """
        declared = self.declared_in(name)
        return self if declared is None else self.variants[declared]

    def declared_in(self, name: str | None) -> str | None:
        """Return the declared variant that `name` is, or continues after a hyphen; the longest such."""
        found = [one for one in self.variants if name == one or (name or "").startswith(f"{one}-")]
        return max(found, key=len, default=None)

    @property
    def labels_beyond(self) -> str | None:
        """Labels that the backbone learnt from besides those of the head, ``none``, or None where nobody says."""
        if self.labels_seen is not None and self.labels_seen.endswith("(its head's)"):
            return "none"  # those, every model with a head has seen
        return self.labels_seen


def build_model(name: str, entry: Entry) -> ModelSpec:
    """Check the keys of a model's entry."""
    variants = entry.take("variants", dict, {})
    shared = entry.rest()
    base = _settings(name, entry)
    made = {}
    for variant, changes in variants.items():
        fault = name_fault(variant)
        if fault is not None:
            raise entry.error(f"has a variant '{variant}', which cannot be its name: it {fault}")
        changed = Entry(entry.kind, f"{name}@{variant}", {} if changes is None else changes, entry.file)
        kept = {key: value for key, value in shared.items() if key not in _no_longer_true(changed.rest())}
        whole = Entry(entry.kind, f"{name}@{variant}", {**kept, **changed.rest()}, entry.file)
        made[variant] = _settings(name, whole)
        whole.finish()
    return replace(base, variants=made)


_OF_THE_WEIGHTS = frozenset(
    (
        *("checkpoint", "url", "sha256", "bytes", "checkpoint_key", "format", "image"),
        *("data", "labels_seen", "top1", "licence", "reference_note", "note"),
    )
)


def _no_longer_true(changes: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of an entry that do not hold for a variant with these changes."""
    if set(changes) & {"timm", "checkpoint", "url"}:
        return _OF_THE_WEIGHTS
    # single values belong to the transform that they correct
    return frozenset(["image"] if "transform" in changes else [])


def _settings(name: str, entry: Entry) -> ModelSpec:
    spec = ModelSpec(
        name=name,
        title=entry.take("title", str),
        pretext=entry.choice("pretext", PRETEXT_TASKS),
        timm=entry.take("timm", str),
        method=entry.text("method"),
        args=entry.take("args", dict, {}),
        checkpoint=entry.path("checkpoint"),
        url=_address(entry),
        sha256=entry.digest("sha256", None),
        bytes=entry.size("bytes", None),
        checkpoint_key=entry.text("checkpoint_key"),
        format=entry.text("format"),
        features=entry.take("features", str, "pre_logits"),
        head=_head(entry),
        transform=entry.take("transform", str, "model"),
        image=_image(entry),
        data=entry.text("data"),
        labels_seen=entry.text("labels_seen"),
        text_supervision=entry.take("text_supervision", bool, False),
        tuning=entry.choice("tuning", TUNINGS) if entry.has("tuning") else None,
        params=entry.measure("params", 1e7),
        top1=entry.measure("top1", 100),
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
    spec = HeadSpec("file", own.path("path"), _address(own), own.digest("sha256", None))
    if (spec.path is None) == (spec.url is None):
        raise own.error("needs either 'path' or 'url'")
    own.finish()
    return spec


def _address(entry: Entry) -> str | None:
    """Return the address of a file, which is kept under the name that it has there."""
    url = entry.text("url")
    try:
        fault = None if url is None else file_fault(PurePosixPath(urlsplit(url).path).name)
    except ValueError as error:
        fault = str(error)
    if fault is not None:
        raise entry.error(f"has the address '{url}', whose file name {fault}")
    return url


def _image(entry: Entry) -> dict[str, Any]:
    value: dict[str, Any] = entry.take("image", dict, {})
    try:
        return check_image(value)
    except ValueError as error:
        raise entry.error(f"has image: with {error}") from None
