"""Which other vectors of the images an extraction makes besides the features: from options to a network's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from moodbench.arguments import as_names
from moodbench.choices import Pool, check_choice
from moodbench.errors import UnknownNameError, UsageError
from moodbench.names import check_name
from moodbench.types import NamedHead
from moodbench.views import ChangedChoice, LayerChoice
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.features.targets import View
    from moodbench.models.backbone import Backbone
    from moodbench.models.recipes.base import Recipe


@dataclass(frozen=True)
class Views:
    """Which other vectors of the images are wanted.

    Attributes
    ----------
    layers : LayerChoice or None
    pool : {"model", "cls", "mean", "std"}
        How each layer becomes one vector.
    changed : tuple of ChangedChoice
    inside : LayerChoice or None
        Layers of the changed images.
    head : str, optional
        Another head of the model, which recipes that read a head read in the place of its own.
    """

    layers: LayerChoice | None = None
    pool: Pool = "model"
    changed: tuple[ChangedChoice, ...] = ()
    inside: LayerChoice | None = None
    head: str | None = None

    @classmethod
    def asked(
        cls,
        layers: str | Sequence[str] | None,
        pool: Pool,
        changed: Sequence[str],
        head: str | None,
        compile: bool,
        inside: str | Sequence[str] | None = None,
    ) -> Self:
        """Return which views are wanted, as the options of ``extract`` say.

        Raises
        ------
        UsageError
            One cannot be read, or says something of others that are not asked for.
        """
        check_choice("pool", pool, Pool)
        recipes = tuple(ChangedChoice.parse(one) for one in changed)
        if head is not None:
            check_name(head, "head")
        plain, of_changed = _joined(layers), _joined(inside)
        for option, given, what in (("--view-head", head, "odin"), ("--view-layers", of_changed, "fgsm")):
            if given is not None and not recipes:
                raise UsageError(
                    f"{option} '{given}' is of changed images, and none are asked for", fix=f"--view {what}"
                )
        if recipes and compile:
            raise UsageError("a compiled network gives no gradients", fix="leave --compile or --view out")
        if plain is None and of_changed is None and pool != "model":
            raise UsageError("--pool says how layers are pooled, and none is asked for", fix="--layers all")
        if plain is not None and compile:
            raise UsageError("a compiled network does not show its layers", fix="leave --compile or --layers out")
        return cls(
            None if plain is None else LayerChoice.parse(plain),
            pool,
            recipes,
            None if of_changed is None else LayerChoice.parse(of_changed, "--view-layers"),
            head,
        )

    def of(self, backbone: Backbone, space: Workspace, name: ModelName) -> list[View]:
        """Return those of a network, whose heads lie where those of `name` do."""
        from moodbench.models.layers import choose_layers
        from moodbench.models.recipes.of_layer import ChangedLayer

        layers = () if self.layers is None else choose_layers(backbone.network, self.layers, self.pool)
        other = None if self.head is None else _named_head(space, name, self.head)
        wanted = [recipe.with_head(other) for recipe in self._recipes()]
        recipes = list(dict.fromkeys(one for recipe in wanted for one in recipe.of(backbone.network)))
        inside = () if self.inside is None else choose_layers(backbone.network, self.inside, self.pool, "--view-layers")
        of = [ChangedLayer(recipe, layer) for recipe in recipes if recipe.layered for layer in inside]
        return [*layers, *recipes, *of]

    def _recipes(self) -> list[Recipe]:
        from moodbench.models.recipes.base import create_recipe

        return [create_recipe(choice) for choice in self.changed]

    def check(self) -> None:
        """Refuse recipes that are unknown or cannot be followed so; this imports torch."""
        recipes = self._recipes()
        if self.inside is not None and not any(recipe.layered for recipe in recipes):
            from moodbench.models.recipes.base import VIEWS

            having = ", ".join(name for name in VIEWS.names() if VIEWS.get(name).layered)
            raise UsageError(
                "--view-layers takes layers of the changed images, and of these views none is of one pass over such",
                fix=f"leave it out, or take a view that is: {having}",
            )
        if self.head is not None and not any(recipe.head for recipe in recipes):
            raise UsageError("--view-head says which head views read, and none of these reads one", fix="leave it out")


def _named_head(space: Workspace, model: ModelName, name: str) -> NamedHead:
    """Read another head of a model."""
    from moodbench.features.heads import stored_head

    file = space.head_file(replace(model, head=name))
    if not file.exists():
        there = [file.stem for file in space.other_heads(model)]
        made_by = f"moodbench probe --model {model}, or moodbench head text; the rows must be cached before"
        raise UnknownNameError("cached head", name, there, fix=None if there else made_by)
    return NamedHead(name, stored_head(file))


NO_VIEWS = Views()


def _joined(layers: str | Sequence[str] | None) -> str | None:
    return layers if layers is None or isinstance(layers, str) else ",".join(as_names(layers))
