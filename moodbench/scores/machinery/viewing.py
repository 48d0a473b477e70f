"""Scores that read more than one vector of an image: layers of the network, or features of changed images.

Each names what it reads out of what is cached; `moodbench.evaluation.beside` then reads those rows along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from moodbench.errors import ScoreError, UnknownNameError, UsageError
from moodbench.scores.base import Need, Score
from moodbench.views import CHANGED, LayerChoice, LayerView, layer_of, split_layer


@dataclass
class OverLayers(Score):
    """A score that reads several layers side by side: ``block.layers[name]`` for each of `layers_read`.

    Parameters
    ----------
    layers : str, default="all"
        Which of the cached layers: ``all``, ``every:3``, or names joined by ``+`` (``blocks.3+blocks.7``). Those that
        are pooled as the model pools its last, unless a name says otherwise (``blocks.3-cls``).
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"layers"})

    layers: str = "all"

    def __post_init__(self) -> None:
        self._choice()

    def _choice(self) -> LayerChoice:
        try:
            return LayerChoice.parse(self.layers.replace("+", ","))
        except UsageError:
            raise UsageError(
                f"the parameter 'layers' cannot be '{self.layers}'", fix="all, every:3, or names joined by '+'"
            ) from None

    @property
    def made_by(self) -> str:
        """The option of ``moodbench extract`` that makes what it reads."""
        return "--layers " + self.layers.replace("+", ",")

    def layers_read(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the layers that it reads, from the input to the output, out of the views of a model.

        Raises
        ------
        ScoreError
            None is cached, or not one that is named.
        """
        there = [view for name in cached if (view := LayerView.parse(name)) is not None]
        if not there:
            raise ScoreError("no layers beside it (extract --layers all, of the model itself)")
        try:
            choice = self._choice()
            offered = [view.name for view in there if choice.names or view.pool is None]
            found = choice.of(offered or [view.name for view in there])
        except (UsageError, UnknownNameError) as error:
            raise ScoreError(f"{error.what}; cached: {', '.join(view.name for view in there)}") from None
        return found

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the caches of those layers."""
        wanted = self.layers_read(cached)
        return tuple(name for name in cached if (view := LayerView.parse(name)) is not None and view.name in wanted)

    def views_counted(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the caches of those layers; of ``every:3`` all layers, for every third is counted among them."""
        found = self.views_among(cached)
        every = self.layers.strip().startswith("every")
        return tuple(name for name in cached if LayerView.parse(name) is not None) if every else found


def changed_view(wanted: str, cached: Sequence[str]) -> str:
    """Return the cached view of changed images that `wanted` means: its name, or what it begins with, as ``odin``.

    Raises
    ------
    ScoreError
        There is none, or several begin so.
    """
    names = [name for name in cached if name.startswith(CHANGED)]
    if CHANGED + wanted in names:
        return CHANGED + wanted
    found = [name for name in names if name.startswith(f"{CHANGED}{wanted}-")]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(name.removeprefix(CHANGED) for name in found)
        raise ScoreError(f"several views '{wanted}', and the parameter view names none: {several}")
    raise ScoreError(lacking_view(wanted, names))


def lacking_view(wanted: str, cached: Sequence[str]) -> str:
    """Return what a note says where a view is not there: which there are of its kind, or how it is made.

    Of a view with numbers in its name it does not say how it is made.
    """
    kind = CHANGED + wanted.partition("-")[0]
    there = [name for name in cached if name.startswith(f"{kind}-") and split_layer(name)[1] is None]
    if there:
        return f"no view '{wanted}'; cached: {', '.join(name.removeprefix(CHANGED) for name in there)}"
    how = "" if "-" in wanted else f" (extract --view {wanted})"
    return f"no view '{wanted}'{how}"


def changed_layers(wanted: str, layers: Sequence[str], cached: Sequence[str]) -> tuple[str, ...]:
    """Return the cached layers of changed images that go with `layers`, in their order.

    Parameters
    ----------
    wanted : str
        The view, as in `changed_view`.
    layers : sequence of str
        Names of layers of the images as they are, as ``layer-blocks.3``.
    cached : sequence of str

    Raises
    ------
    ScoreError
        There is no such view, or several, or it lacks one of the layers.
    """
    of = list(dict.fromkeys(split_layer(name)[0] for name in cached if split_layer(name)[1] is not None))
    try:
        view = changed_view(wanted, of)
    except ScoreError as error:
        if any(name == CHANGED + wanted or name.startswith(f"{CHANGED}{wanted}-") for name in of):
            raise
        how = "" if "-" in wanted else f" (moodbench extract --view {wanted} --view-layers all, for ID train)"
        raise ScoreError(f"no layers of the view '{wanted}'{how}") from error
    found = tuple(layer_of(view, one) for name in layers if (one := LayerView.parse(name)) is not None)
    lacking = [layer for layer, name in zip(layers, found, strict=True) if name not in cached]
    if lacking:
        raise ScoreError(f"the view '{view.removeprefix(CHANGED)}' has not all of the layers: no {lacking[0]} of it")
    return found


@dataclass
class OnView(Score):
    """A score that reads features (and logits) of changed images: the block ``block.views[self.view_read(...)]``.

    Parameters
    ----------
    view : str
        The cached view of changed images, with the numbers it was made with (``odin-0.0014``) or, where there is one of
        its kind alone, without (``odin``).
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"views"})

    view: str = ""

    @property
    def made_by(self) -> str:
        """The option of ``moodbench extract`` that makes what it reads."""
        return f"--view {self.view.partition('-')[0]}"

    def view_read(self, cached: Sequence[str]) -> str:
        """Return the name of the view in the blocks."""
        return changed_view(self.view, cached)

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the cache of that view."""
        return (self.view_read(cached),)
