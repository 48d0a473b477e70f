"""Recipes that make numbers of one layer each, a view for every layer that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from moodbench.errors import ModelError, UnknownNameError, UsageError
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

    def __post_init__(self) -> None:
        self._choice()

    def _choice(self) -> LayerChoice:
        try:
            return LayerChoice.parse(self.layer.replace("+", ","))
        except UsageError:
            self.refuse_unless(False, "layer", "must be all, every:N with N of 1 or more, or names joined by '+'")
            raise

    def of(self, network: nn.Module) -> Sequence[Recipe]:
        """Return one recipe for each layer."""
        choice = self._choice()
        offered = self._offered(network)
        modules = {name for name, _ in network.named_modules() if name}
        children = [name for name, _ in network.named_children()]
        for name in choice.names:
            if name not in modules:
                raise UnknownNameError("layer", name, offered or children)
        if not (choice.names or offered):
            raise ModelError(
                f"{type(network).__name__} does not offer its layers (timm's forward_intermediates and feature_info), "
                f"which the view '{self.name}' reads",
                fix=f"name modules of it: --view {self.name}:layer={'+'.join(children[:2])}",
            )
        return [replace(self, layer=name) for name in choice.names or choice.of(offered)]

    @staticmethod
    def _offered(network: nn.Module) -> list[str]:
        """Return the layers that timm names; none where the network is not timm's."""
        try:
            return layer_names(network)
        except ModelError:
            return []

    def reads(self, network: nn.Module) -> Sequence[str]:
        """Return the layer."""
        return (self.layer,)
