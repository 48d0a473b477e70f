"""Which network computes features, and how it is built: what a command is told, as one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.catalog import Catalog, HeadSpec, ModelSpec
from moodbench.choices import Decoder, Precision, check_choice
from moodbench.errors import ModelError, UsageError
from moodbench.models.clip.library import check_installed
from moodbench.models.outside.library import library_of
from moodbench.models.variants import refuse_view, resolve
from moodbench.models.weights import check_obtainable
from moodbench.workspace import ModelName

if TYPE_CHECKING:
    from moodbench.models.backbone import Backbone


@dataclass(frozen=True)
class ModelChoice:
    """A model with the settings that make its features what they are.

    Attributes
    ----------
    model : str or Backbone
        A model of the catalogue, or one by where it is from (``hf:ORG/NAME``), with or without ``@VARIANT``; or any
        network (`Backbone.from_module`), which needs a `name`, and brings transform and head along.
    checkpoint, checkpoint_key, format, with_head
        See `moodbench.models.load.load_model`.
    transform : str, optional
        A name in `moodbench.models.transforms.TRANSFORMS`.
    image : mapping
        Single values over those of the transform; see `moodbench.models.transforms.build_transform`.
    decoder : {"exact", "fast"}
        ``fast``: other pixels, sooner.
    variant : str, optional
        A variant that the catalogue declares, or a name for these settings; by default made of what differs from the
        model's own.
    head_file : Path, optional
        Take the classifier from this file instead of where the catalogue says it is.
    features : str, optional
        How features are read off the network, a name in `moodbench.models.features.RECIPES`.
    """

    model: str | Backbone
    name: str | None = None
    checkpoint: str | Path | None = None
    checkpoint_key: str | None = None
    format: str | None = None
    transform: str | None = None
    image: Mapping[str, Any] = field(default_factory=dict)
    decoder: Decoder = "exact"
    variant: str | None = None
    with_head: bool = True
    head_file: str | Path | None = None
    features: str | None = None

    def __post_init__(self) -> None:
        check_choice("decoder", self.decoder, Decoder)
        if self.head_file is not None and not self.with_head:
            raise UsageError("--head-file gives a head, and --no-head asks for none")

    @property
    def reads_file(self) -> bool:
        """Whether the weights are those of a file that the user names."""
        return self.checkpoint is not None and isinstance(self.model, str)

    def check(self, catalog: Catalog) -> None:
        """Refuse what no network can be built from, before seconds are spent on importing torch and timm.

        Raises
        ------
        UsageError
            The name is unknown.
        ModelError
            The weights are neither on this disk nor to be had.
        """
        if isinstance(self.model, str):
            parsed = ModelName.parse(self.model)
            refuse_view(parsed)
            known = self._with_given(catalog.model(parsed.base).variant(self.variant or parsed.variant))
            if known.clip is not None:
                check_installed()
            if known.network is not None:
                elsewhere = (self.checkpoint, known.checkpoint, known.url, known.by_hand)
                library_of(known).check(known, weights=all(one is None for one in elsewhere))
            elif self.checkpoint is None:
                check_obtainable(known if self.with_head else replace(known, head=HeadSpec("none")))

    def build(self, catalog: Catalog, precision: Precision) -> tuple[ModelName, Backbone]:
        """Return the name under which the features are kept, and the network.

        Raises
        ------
        UsageError
            A setting makes no sense or contradicts another.
        ModelError
            The weights cannot be had, do not fit, or do not take pictures of that size.
        """
        name, backbone = self._loaded(catalog, precision) if isinstance(self.model, str) else self._given(self.model)
        return name, _fast(backbone, str(name)) if self.decoder == "fast" else backbone

    def _loaded(self, catalog: Catalog, precision: Precision) -> tuple[ModelName, Backbone]:
        name, spec = resolve(
            catalog,
            str(self.model),
            variant=self.variant,
            transform=self.transform,
            image=self.image,
            precision=precision,
            decoder=self.decoder,
        )
        from moodbench.models.load import load_model

        file = None if self.checkpoint is None else Path(self.checkpoint)
        backbone = load_model(
            self._with_given(spec),
            checkpoint=file,
            checkpoint_key=self.checkpoint_key,
            format=self.format,
            with_head=self.with_head,
        )
        if self.image:
            _check_size(backbone, str(name))
        return name, backbone

    def _given(self, backbone: Backbone) -> tuple[ModelName, Backbone]:
        """Return a network of the user's own under its name."""
        if self.name is None:
            raise UsageError("a network of your own needs a name")
        if self.transform is not None or self.image:
            raise UsageError("a network of your own brings its transform along", fix="give it to Backbone.from_module")
        if not (self.checkpoint is self.checkpoint_key is self.format is None):
            raise UsageError("a network of your own brings its weights along", fix="load them before extract is called")
        if self.features is not None or self.head_file is not None:
            raise UsageError("a network of your own brings its head along", fix="give it to Backbone.from_module")
        name = ModelName.parse(self.name if self.variant is None else f"{self.name}@{self.variant}")
        refuse_view(name)
        return name, backbone

    def _with_given(self, spec: ModelSpec) -> ModelSpec:
        """Return an entry with the recipe and the head that are given."""
        if self.features is not None:
            spec = replace(spec, features=self.features)
        return spec if self.head_file is None else replace(spec, head=HeadSpec("file", path=Path(self.head_file)))


def _check_size(backbone: Backbone, name: str) -> None:
    """Refuse a size of pictures that the network turns out not to take, before a cache is begun."""
    import torch

    size = backbone.transform.record["size"]
    try:
        backbone.forward(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:  # architectures say it in their own ways
        raise ModelError(
            f"the network of '{name}' does not take pictures of {size} × {size} pixels: {error}",
            fix="choose another --image-size, or leave it out",
        ) from error


def _fast(backbone: Backbone, name: str) -> Backbone:
    """Return the same network with pictures that are decoded and resized sooner, to other pixels."""
    from moodbench.models.transforms import Transform

    if not isinstance(backbone.transform, Transform):
        raise UsageError(f"the transform of '{name}' is not moodbench's own", fix="leave --decoder out")
    return replace(backbone, transform=backbone.transform.fast())
