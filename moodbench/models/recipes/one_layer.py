"""Recipes that make numbers of one layer each, a view for every layer that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from moodbench.errors import UnknownNameError
from moodbench.models.layers import layer_names
from moodbench.models.recipes.base import Recipe
from moodbench.views import LayerChoice


@dataclass(frozen=True)
class OneLayer(Recipe):
    """Base class of these.

    Parameters
    ----------
    layer : str, default="all"
        ``all`` or ``every:3`` of the network's layers, or names of any modules joined by ``+``.
    """

    layer: str = "all"

    def of(self, network: nn.Module) -> Sequence[Recipe]:
        """Return one recipe for each layer."""
        choice = LayerChoice.parse(self.layer.replace("+", ","))
        known = dict(network.named_modules())
        for name in choice.names:
            if not name or name not in known:
                raise UnknownNameError("layer", name, layer_names(network))
        return [replace(self, layer=name) for name in choice.names or choice.of(layer_names(network))]

    def reads(self, network: nn.Module) -> Sequence[str]:
        """Return the layer."""
        return (self.layer,)
