"""What each kind of network from elsewhere has to offer, and which module offers it.

Those are imported when a model of theirs is asked for, not before: so are the packages that they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from moodbench.catalog import ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError
from moodbench.models.obtained import Weights
from moodbench.prefixes import split
from moodbench.release import with_extra
from moodbench.types import Report

DataConfig = Mapping[str, Any]
"""How pictures are prepared, in timm's words (`moodbench.models.transforms.DataConfig`)."""

_MODULES = {
    "hf": "moodbench.models.outside.huggingface",
    "torchvision": "moodbench.models.outside.torchvision",
    "module": "moodbench.models.outside.pyfile",
    "torchscript": "moodbench.models.outside.torchscript",
    "onnx": "moodbench.models.outside.onnx",
}


@dataclass(frozen=True)
class Opened:
    """A network from elsewhere with its weights.

    Attributes
    ----------
    network : Module
        (B, 3, side, side) pictures → what `moodbench.models.outside.head_input.answer_of` finds logits in.
    transform : ImageTransform or None
        Its own; None: as `config` says.
    config : mapping
        How pictures are prepared, where that can be said in timm's words; else ``input_size`` alone.
    record : dict
        What the provenance notes of it: ``weights``, and what is the kind's own.
    class_names : tuple of str or None
        Of its outputs.
    features : callable or None
        (network, images) → (B, D): how features are read where they are not the classifier's input.
    compute, head : callable and Head, or None
        How both are read, where the network itself or its file says it.
    """

    network: Any
    transform: Any
    config: DataConfig
    record: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    features: Any = None
    compute: Any = None
    head: Any = None


class Library(Protocol):
    """A kind of network from elsewhere: what a module of this package has at its top."""

    def check(self, spec: ModelSpec, *, weights: bool) -> None:
        """Refuse what no network can be had from, without importing torch; `weights`: they are wanted too.

        Raises
        ------
        UsageError
            There is no such name.
        ModelError
            Something is not on this disk, nor to be had.
        """
        ...

    def open(self, spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
        """Return the network, on the CPU.

        Raises
        ------
        ModelError
            The weights cannot be had or do not fit; or it is not what it should be.
        """
        ...

    def weights_on_disk(self, spec: ModelSpec) -> Path | None:
        """Return the file that holds its weights if it is on this disk."""
        ...

    def fetch(self, spec: ModelSpec, report: Report, progress: bool) -> Weights:
        """Return its weights; what is not on this disk is fetched."""
        ...

    def data_config(self, spec: ModelSpec) -> DataConfig | None:
        """Return how pictures are prepared, in timm's words; None: only the opened network says it."""
        ...


def library_of(spec: ModelSpec) -> Library:
    """Return the module that opens the network of an entry."""
    return cast(Library, import_module(_MODULES[str(split(str(spec.network))[0])]))


def name_in(spec: ModelSpec) -> str:
    """Return the name of the network in its library: what stands behind the colon."""
    return split(str(spec.network))[1]


def existing_file(spec: ModelSpec) -> Path:
    """Return the file that an entry names, or raise a `ModelError` if there is none."""
    return named_file(name_in(spec))


def named_file(name: str, fix: str | None = None) -> Path:
    """Return the file of this name, or raise a `ModelError` with that advice if there is none."""
    try:
        file = Path(name).expanduser()
    except RuntimeError:  # ~NAME of somebody who is not known here
        file = Path(name)
    if not file.is_file():
        raise ModelError(f"there is no file '{name}'" + (", it is a folder" if file.is_dir() else ""), fix=fix)
    return file


def file_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file that a name names, or None where there is no such file."""
    try:
        return existing_file(spec)
    except ModelError:
        return None


def file_weights(spec: ModelSpec) -> Weights:
    """Return the file that an entry names as its weights, which nobody has to fetch."""
    file = existing_file(spec)
    return Weights(file, file.stat().st_size, file_sha256(file), True)


def need_package(package: str, extra: str, what: str) -> None:
    """Raise the `ModelError` for an extra that is not installed; nothing is imported for it."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ModelError(
            f"{what} need the package {package}, which is not installed",
            fix=f"{with_extra(extra)}  (or pip install {package})",
        )
