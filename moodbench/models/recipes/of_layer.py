"""A layer of changed images: what one module of the network returned in the pass that made a recipe's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moodbench.models.layers import Layer
from moodbench.models.recipes.base import Recipe
from moodbench.views import LayerView, layer_of


@dataclass(frozen=True)
class ChangedLayer:
    """A layer of a network, read in the pass over the images that a recipe has changed.

    Attributes
    ----------
    recipe : Recipe
        One that is `layered`.
    layer : Layer
    """

    recipe: Recipe
    layer: Layer

    @property
    def view(self) -> str:
        """What follows ``@`` in the name of its cache: ``view-odin-0.0014-layer-blocks.3``."""
        layer = LayerView.parse(self.layer.view)
        assert layer is not None
        return layer_of(self.recipe.view, layer)

    @property
    def noted(self) -> dict[str, Any]:
        """What the provenance of its cache notes: the recipe and the layer."""
        return {**self.recipe.noted, **self.layer.noted}
