"""Where an extraction writes to: the model's own cache, and one of each view of it, in a folder beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from moodbench.features.cache import FeatureCache
from moodbench.features.provenance import refuse_mismatch
from moodbench.features.settings import Settings
from moodbench.models.layers import Layer
from moodbench.models.recipes.base import Recipe
from moodbench.models.recipes.of_layer import ChangedLayer
from moodbench.types import Head

View = Layer | Recipe | ChangedLayer
"""Another vector of the same images: what a layer returns of them, what a recipe makes of them, or what a layer returns
of what it makes."""


def recipe_of(view: View) -> Recipe | None:
    """Return the recipe that has to be followed for a view; None for a layer of the images as they are."""
    return view.recipe if isinstance(view, ChangedLayer) else view if isinstance(view, Recipe) else None


def recipes_of(views: Sequence[View]) -> list[Recipe]:
    """Return the recipes that have to be followed, each once."""
    found = (recipe_of(view) for view in views)
    return list(dict.fromkeys(recipe for recipe in found if recipe is not None))


@dataclass(frozen=True)
class Target:
    """A cache to be filled.

    Attributes
    ----------
    model, dataset : str
        Names that it notes.
    file : Path
    noted : mapping
        Its provenance, without what has to be tried.
    view : View or None
        Whose output it holds; None: the model's features and logits.
    of : Path or None
        Where this is a shard: the cache that it is one of.
    """

    model: str
    dataset: str
    file: Path
    noted: Mapping[str, Any] = field(compare=False)
    view: View | None = None
    of: Path | None = None

    @property
    def whole(self) -> Path:
        """The cache that this is, or is a shard of."""
        return self.of or self.file

    @property
    def headed(self) -> bool:
        """Whether a head is put on what it holds; on layers, and on numbers of recipes, none is."""
        return self.view is None or (isinstance(self.view, Recipe) and not self.view.numbers)

    def head(self, own: Head | None) -> Head | None:
        """Return the head that its logits are made with: the model's `own`, the one that its recipe reads, or none."""
        if not self.headed:
            return None
        other = self.view.other if isinstance(self.view, Recipe) else None
        return own if other is None else other.head


def targets_of(own: Target, views: Sequence[View]) -> list[Target]:
    """Return the model's own target and those of its views."""
    return [
        own,
        *(
            Target(
                f"{own.model}@{view.view}",
                own.dataset,
                own.file.parent.with_name(f"{own.file.parent.name}@{view.view}") / own.file.name,
                {**own.noted, **view.noted},
                view,
            )
            for view in views
        ),
    ]


def is_done(target: Target, classes: Sequence[str]) -> bool:
    """Say whether a complete cache of this is there; refuse one of something else.

    Raises
    ------
    CacheMismatchError
    """
    if not target.file.exists():
        return False
    with FeatureCache(target.file) as cache:
        refuse_mismatch(cache, target.noted, classes, file=target.file)
        return cache.complete


@dataclass(frozen=True)
class Arithmetic:
    """What the bits of a cache depend on besides its provenance's identity: images at once, and their memory order."""

    batch_size: int
    channels_last: bool

    @property
    def record(self) -> dict[str, Any]:
        """As the provenance notes it."""
        return {"batch_size": self.batch_size, "channels_last": self.channels_last}

    @classmethod
    def noted(cls, file: Path, settings: Settings) -> Self:
        """Return how a cache was begun; files of before do not say the order of memory."""
        with FeatureCache(file) as cache:
            noted = cache.provenance
        usual = settings.torch_device.type == "cuda"
        return cls(int(noted["batch_size"]), bool(noted.get("channels_last", usual)))
