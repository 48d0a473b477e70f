"""What the catalogue says about a model: its network, of timm or from elsewhere, its weights, and what it has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from urllib.parse import urlsplit

from moodbench.catalog.entry import Entry
from moodbench.catalog.image import check_image
from moodbench.choices import PretextTask
from moodbench.names import file_fault, name_fault
from moodbench.prefixes import CLIP, HF, OUTSIDE, PATHS, base_fault, split, tidied
from moodbench.views import is_view

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


def _head(entry: Entry, key: str) -> HeadSpec:
    value = entry.take(key, (bool, str, dict), True)
    if isinstance(value, bool):
        return HeadSpec("own" if value else "none")
    if isinstance(value, str):
        if value not in ("own", "none"):
            raise entry.error(f"has head: '{value}'", fix="write own, none, or a mapping with 'path' or 'url'")
        return HeadSpec(value)
    own = Entry(entry.kind, f"{entry.name}: head", value, entry.file)
    spec = HeadSpec("file", own.path("path"), _address(own, "url"), own.digest("sha256", None))
    if (spec.path is None) == (spec.url is None):
        raise own.error("needs either 'path' or 'url'")
    own.finish()
    return spec


def _address(entry: Entry, key: str) -> str | None:
    """Return the address of a file, which is kept under the name that it has there."""
    url = entry.text(key)
    try:
        fault = None if url is None else file_fault(PurePosixPath(urlsplit(url).path).name)
    except ValueError as error:
        fault = str(error)
    if fault is not None:
        raise entry.error(f"has the address '{url}', whose file name {fault}")
    return url


def _image(entry: Entry, key: str) -> dict[str, Any]:
    value: dict[str, Any] = entry.take(key, dict, {})
    try:
        return check_image(value)
    except ValueError as error:
        raise entry.error(f"has {key}: with {error}") from None


Read = Callable[[Entry, str], Any]
"""Takes a key of an entry, and returns its value, checked."""


def _read(read: Read, *, of_weights: bool = False) -> dict[str, Any]:
    """Return the metadata of a key; `of_weights`: it does not hold for a variant with other weights."""
    return {"read": read, "of_weights": of_weights}


def _required(entry: Entry, key: str) -> str:
    value: str = entry.take(key, str)
    return value


def _timm(entry: Entry, key: str) -> str:
    others = [one for one in ("clip", "network") if entry.has(one)]
    named = [key, *others] if entry.has(key) else others
    if len(named) > 1:
        raise entry.error(f"has both '{named[0]}' and '{named[1]}'", fix="keep the one whose network it is")
    return "" if others else _required(entry, key)


def _clip(entry: Entry, key: str) -> str | None:
    name = entry.text(key)
    fault = None if name is None else base_fault(f"{CLIP}:{name}")
    if fault is not None:
        raise entry.error(f"has clip: '{name}', which {fault}", fix="write ARCH/TAG as open_clip has them, or ARCH")
    return name


def _network(entry: Entry, key: str) -> str | None:
    name = entry.text(key)
    if name is None:
        return None
    library, rest = split(tidied(name))
    if library not in OUTSIDE:
        raise entry.error(
            f"has network: '{name}'",
            fix=f"write {', '.join(f'{one}:…' for one in OUTSIDE)}; those of timm under 'timm'",
        )
    if library in PATHS and entry.file is not None and not rest.startswith(("/", "~")):
        here = entry.file.parent / rest
        rest = str(here) if library != HF or here.is_dir() else rest
    fault = base_fault(f"{library}:{rest}")
    if fault is not None:
        raise entry.error(f"has network: '{name}', which {fault}")
    return f"{library}:{rest}"


@dataclass(frozen=True)
class ModelSpec:
    """A named checkpoint of an architecture, with its pretext task.

    A field is a key of the catalogue's entry: declared, read (`build_model`) and shown (`moodbench list models --json`)
    from here.
    """

    name: str

    title: str = field(metadata=_read(_required))

    pretext: str = field(metadata=_read(lambda entry, key: entry.pretext(key)))

    timm: str = field(default="", metadata=_read(_timm))
    """Architecture, with the tag of its weights where they are timm's own; empty for one from elsewhere."""

    clip: str | None = field(default=None, metadata=_read(_clip))
    """Architecture of open_clip, with the tag of its weights where they are open_clip's own (``ViT-B-16/openai``)."""

    network: str | None = field(default=None, metadata=_read(_network))
    """A network from elsewhere, as ``hf:ORG/NAME`` (`moodbench.models.outside`); a path counts from the file."""

    hub: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """The hub repository of those, so that a list need not ask open_clip."""

    method: str | None = field(default=None, metadata=_read(Entry.text))
    """The training method by its own name."""

    args: Mapping[str, Any] = field(default_factory=dict, metadata=_read(lambda entry, key: entry.take(key, dict, {})))
    """For ``timm.create_model``."""

    checkpoint: Path | None = field(default=None, metadata=_read(Entry.path, of_weights=True))
    """Weights from a file; without this and `url` they are timm's own."""

    url: str | None = field(default=None, metadata=_read(_address, of_weights=True))
    """Weights from an address."""

    by_hand: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """How a person gets the file, where no program can: it is then named with ``--checkpoint``."""

    runs: str | None = field(default=None, metadata=_read(Entry.text))
    """The group of training runs that this is one of: the same recipe with another seed."""

    sha256: str | None = field(
        default=None, metadata=_read(lambda entry, key: entry.digest(key, None), of_weights=True)
    )
    """Of that file."""

    bytes: int | None = field(default=None, metadata=_read(lambda entry, key: entry.size(key, None), of_weights=True))
    """Its size."""

    checkpoint_key: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """Which part of that file, where it holds more than one network (`moodbench.models.checkpoint`)."""

    format: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """Checkpoint format; None: found out from the names of the tensors."""

    features: str = field(default="pre_logits", metadata=_read(lambda entry, key: entry.take(key, str, "pre_logits")))
    """How features are read off the network, a name in `moodbench.models.features`."""

    head: HeadSpec = field(default_factory=HeadSpec, metadata=_read(_head))

    transform: str = field(default="model", metadata=_read(lambda entry, key: entry.take(key, str, "model")))
    """A name in `moodbench.models.transforms`."""

    image: Mapping[str, Any] = field(default_factory=dict, metadata=_read(_image, of_weights=True))
    """Overrides single values of the transform (`moodbench.catalog.image.IMAGE_KEYS`)."""

    data: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """What the backbone was pretrained on."""

    labels_seen: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """Labels met in training besides those of the head: ``none``, or which. None: not said."""

    head_labels: bool = field(
        default=False, metadata=_read(lambda entry, key: entry.take(key, bool, False), of_weights=True)
    )
    """`labels_seen` are those of the head itself, so that there are none besides."""

    text_supervision: bool = field(default=False, metadata=_read(lambda entry, key: entry.take(key, bool, False)))
    """Pairs of pictures and text had a part in it: as data, teacher or tokenizer."""

    tuning: str | None = field(
        default=None,
        metadata=_read(lambda entry, key: entry.choice(key, TUNINGS) if entry.has(key) else entry.text(key)),
    )
    """One of `TUNINGS`."""

    params: float | None = field(default=None, metadata=_read(lambda entry, key: entry.measure(key, 1e7)))
    """Millions of parameters."""

    top1: float | None = field(
        default=None, metadata=_read(lambda entry, key: entry.measure(key, 100), of_weights=True)
    )
    """ImageNet-1k top-1 in percent as its publisher measured it."""

    paper: str | None = field(default=None, metadata=_read(Entry.text))

    licence: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))

    reference_note: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """How the MOODv2 reference differs."""

    note: str | None = field(default=None, metadata=_read(Entry.text, of_weights=True))
    """What somebody who uses it must know."""

    variants: Mapping[str, ModelSpec] = field(default_factory=dict)
    """Settings of the declared variants. `variant` chooses among them."""

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
    def architecture(self) -> str:
        """The name of the network in its library, with the tag of its weights where they are the library's own."""
        return self.clip or self.network or self.timm

    @property
    def labels_beyond(self) -> str | None:
        """Labels that the backbone learnt from besides those of the head, ``none``, or None where nobody says."""
        return "none" if self.head_labels else self.labels_seen  # its own, every model with a head has seen


def build_model(name: str, entry: Entry) -> ModelSpec:
    """Check the keys of a model's entry."""
    variants = entry.take("variants", dict, {})
    shared = entry.rest()
    base = _settings(name, entry)
    made = {}
    for variant, changes in variants.items():
        fault = name_fault(variant) or ("would name a view" if is_view(variant) else None)
        if fault is not None:
            raise entry.error(f"has a variant '{variant}', which cannot be its name: it {fault}")
        changed = Entry(entry.kind, f"{name}@{variant}", {} if changes is None else changes, entry.file)
        kept = {key: value for key, value in shared.items() if key not in _no_longer_true(changed.rest())}
        whole = Entry(entry.kind, f"{name}@{variant}", {**kept, **changed.rest()}, entry.file)
        made[variant] = _settings(name, whole)
        whole.finish()
    return replace(base, variants=made)


_KEYS = tuple(one for one in fields(ModelSpec) if "read" in one.metadata)


def _no_longer_true(changes: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of an entry that do not hold for a variant with these changes."""
    if set(changes) & {"timm", "clip", "network", "checkpoint", "url"}:
        return frozenset(one.name for one in _KEYS if one.metadata["of_weights"])
    # single values belong to the transform that they correct
    return frozenset(["image"] if "transform" in changes else [])


def _settings(name: str, entry: Entry) -> ModelSpec:
    headless = entry.has("clip") and not entry.has("head")
    spec = ModelSpec(name, **{one.name: one.metadata["read"](entry, one.name) for one in _KEYS})
    if spec.checkpoint is not None and spec.url is not None:
        raise entry.error("has both 'checkpoint' and 'url'")
    if headless:
        spec = replace(spec, head=HeadSpec("none"))
    if spec.clip is not None and spec.head.kind == "own":
        raise entry.error("has head: own", fix="networks of open_clip have none (moodbench head text makes one)")
    if spec.clip is not None and set(spec.args) - {"quick_gelu"}:
        raise entry.error("has args that open_clip's networks do not take", fix="quick_gelu: true is all there is")
    if spec.network is not None and spec.args:
        raise entry.error("has args, which networks of timm alone take")
    if spec.clip is None and spec.hub is not None:
        raise entry.error("has 'hub', which says where weights of open_clip are", fix="leave it out")
    return spec
