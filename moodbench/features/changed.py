"""Recipes of changed images on the network: their vectors of a batch, and what the plain pass can share with them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from moodbench.devices import is_out_of_memory
from moodbench.errors import ModelError, UsageError
from moodbench.features.targets import recipes_of
from moodbench.models.layers import Layer, Taps
from moodbench.models.recipes.base import Recipe
from moodbench.models.recipes.of_layer import ChangedLayer
from moodbench.models.recipes.seen import Pass
from moodbench.types import NamedHead

OnDevice = tuple[Tensor, Tensor] | None
"""Weight (C, D) and bias (C,) of a head, if there is one."""

Traced = tuple[Tensor, list[Tensor]]
"""Features (B, D) and layers, (B, width) each, of the pictures as they are."""


@dataclass(frozen=True)
class Changed:
    """Recipes on a network.

    Attributes
    ----------
    views : sequence of Recipe and ChangedLayer
        What is wanted of them.
    open : callable
        (images, their numbers) → Pass
    taps : Taps
        The layers that are read in the pass that gradients are taken of.
    heads : mapping
        What recipes ask for as `Recipe.other` → that head; of None, the model's own.
    """

    views: Sequence[Recipe | ChangedLayer]
    open: Callable[[Tensor, Tensor], Pass]
    taps: Taps
    heads: Mapping[NamedHead | None, OnDevice]

    @cached_property
    def recipes(self) -> list[Recipe]:
        """All that are followed, each once."""
        return recipes_of(self.views)

    @cached_property
    def _inside(self) -> dict[Recipe, Taps]:
        """The layers that are read while the images of a recipe are computed."""
        of: dict[Recipe, list[Layer]] = {}
        for view in self.views:
            if isinstance(view, ChangedLayer):
                of.setdefault(view.recipe, []).append(view.layer)
        return {recipe: Taps(self.taps.network, layers) for recipe, layers in of.items()}

    def __call__(self, images: Tensor, numbers: Tensor) -> tuple[list[Tensor], Traced | None]:
        """Return what each view is of a batch, (B, D) float32; and features and layers of it unchanged.

        The latter come of a pass with a graph; None where no recipe needed one.
        """
        traced: Traced | None = None
        with computing(self.taps.network, images.device), torch.no_grad():
            seen = self._opened(images, numbers)
            if any(recipe.gradients for recipe in self.recipes):
                with self.taps.reading() as layers:
                    features = seen.traced
                traced = features.detach(), [layer.detach() for layer in layers]
            made: dict[Recipe | ChangedLayer, Tensor] = {}
            for recipe in self.recipes:
                made |= self._made(recipe, seen)
            return [made[view].detach().float() for view in self.views], traced

    def _made(self, recipe: Recipe, seen: Pass) -> dict[Recipe | ChangedLayer, Tensor]:
        """Return what a recipe makes of pictures, and their layers that are wanted."""
        taps = self._inside.get(recipe)
        with seen.under(self.heads[recipe.other]), seen.tapped(taps):
            made = recipe.compute(seen)
        layers = [] if taps is None else zip(taps.layers, seen.last[1], strict=True)
        return {recipe: made, **{ChangedLayer(recipe, layer): values for layer, values in layers}}

    def _opened(self, images: Tensor, numbers: Tensor) -> Pass:
        seen = self.open(images, numbers)
        wanted = (name for recipe in self.recipes for name in recipe.reads(self.taps.network))
        seen.reading = list(dict.fromkeys(wanted))
        seen.watching = [module for recipe in self.recipes for module in recipe.watches(self.taps.network)]
        return seen

    def check(self, images: Tensor) -> list[int]:
        """Refuse recipes that this network does not serve; return the width of each view.

        Parameters
        ----------
        images : (B, 3, H, W) float32
            The first pictures.

        Raises
        ------
        ModelError
        """
        numbers, network = torch.arange(len(images)), self.taps.network
        with computing(network, images.device), torch.no_grad():
            if any(recipe.gradients for recipe in self.recipes):
                noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)).to(images)
                self._check_gradients(self._opened(torch.cat([images, noise]), numbers.repeat(2)))
            widths: dict[Recipe | ChangedLayer, int] = {}
            for recipe in self.recipes:
                widths |= self._check_one(recipe, self._opened(images, numbers))
        for taps in self._inside.values():
            taps.check(images)
        return [widths[view] for view in self.views]

    def _check_gradients(self, seen: Pass) -> None:
        def mixed(features: Tensor) -> Tensor:
            weights = torch.arange(features.shape[1], device=features.device).cos()
            return (features * weights).sum(1)

        with _explained(f"the view '{self.recipes[0].name}'", seen.network):
            gradient = seen.gradient(mixed)
        if not bool(torch.isfinite(gradient).all()) or not bool(gradient.any()):
            raise _without_gradients(f"the view '{self.recipes[0].name}'", seen.network, "they are zero or not finite")

    def _check_one(self, recipe: Recipe, seen: Pass) -> dict[Recipe | ChangedLayer, int]:
        what = f"the view '{recipe.name}'"
        with _explained(what, seen.network) if recipe.gradients else nullcontext():
            every = self._made(recipe, seen)
        made = every[recipe]
        if made.ndim != 2 or len(made) != len(seen) or not made.shape[1]:
            raise ModelError(f"{what} made {tuple(made.shape)} of {len(seen)} pictures, not one vector of each")
        if not bool(torch.isfinite(made).all()):
            raise ModelError(f"{what} of {type(seen.network).__name__} gives numbers that are not finite")
        if recipe in self._inside and not torch.equal(made, seen.last[0]):
            raise ModelError(f"{what} returns other features than its last pass has, whose layers cannot stand for it")
        return {view: values.shape[1] for view, values in every.items()}


@contextmanager
def computing(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Let gradients be taken to pictures and not to weights, and let their bits be the same each time."""
    asking = [weight for weight in network.parameters() if weight.requires_grad]
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with warnings.catch_warnings():
        try:
            for weight in asking:
                weight.requires_grad_(False)
            if device.type == "cuda":  # where sums run in any order unless asked not to; signs of gradients show it
                warnings.filterwarnings("ignore", message=".*deterministic")
                torch.use_deterministic_algorithms(True, warn_only=True)
            yield
        finally:
            for weight in asking:
                weight.requires_grad_(True)
            if device.type == "cuda":
                torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def _explained(what: str, network: nn.Module) -> Iterator[None]:
    """Turn what torch says about gradients that it cannot take into one message."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        raise _without_gradients(what, network, str(error).strip().splitlines()[0]) from error


def _without_gradients(what: str, network: nn.Module, why: str) -> ModelError:
    return ModelError(
        f"{what} needs gradients to the pictures, and {type(network).__name__} gives none: {why}",
        fix="leave --view out; quantised, frozen and compiled networks have no gradients",
    )


def refuse_settings(recipes: Sequence[Recipe], precision: str, compile: bool) -> None:
    """Refuse ways to compute in which no gradients are to be had.

    Raises
    ------
    UsageError
    """
    if not recipes:
        return
    if compile:
        raise UsageError("a compiled network gives no gradients", fix="leave --compile or --view out")
    wanting = next((recipe for recipe in recipes if recipe.gradients), None)
    if precision == "fp16" and wanting is not None:
        raise UsageError(
            f"gradients are too small for fp16, and the view '{wanting.name}' needs them", fix="--precision bf16"
        )
