"""What can be said of a study's layers and views before any weights are read: networks are built without numbers.

A layer that a network lacks, a pool that it cannot have, and a score that reads layers or views which will not be there
are found at once, and not after hours of extraction. Networks that only say what they are when they are opened (those
of files, of other libraries) are left to the extraction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moodbench.errors import MoodbenchError, ScoreError, UsageError
from moodbench.studies.fields import Place
from moodbench.studies.known import Chosen, Known

if TYPE_CHECKING:
    from torch import nn

    from moodbench.models.recipes.base import Recipe
    from moodbench.scores.base import Score


def check_networks(known: Known) -> None:
    """Refuse layers and views that a network of the study does not have, and scores that would read such.

    Raises
    ------
    UsageError
        With the place in the study, and the model.
    """
    if known.layers is None and not known.views:
        return
    from moodbench.models.outline import bare_network
    from moodbench.scores.machinery.variants import make_variants

    top = known.study.top
    scores = [
        (top.key("scores").item(number), name, one)
        for number, name in enumerate(known.scores)
        for one in make_variants([name], {name: known.params.get(name, {})}).values()
    ]
    for model in known.models:
        with _said_of(top.key("models"), model):
            network = bare_network(model.spec)
        if network is not None:
            planned = _planned(known, model, network)
            for at, name, one in scores:
                _check_score(at, name, one, model, planned)


def _planned(known: Known, model: Chosen, network: nn.Module) -> list[str]:
    """Return the names of the views that the study makes of a model, without that of a head."""
    from moodbench.models.layers import choose_layers
    from moodbench.models.recipes.base import create_recipe
    from moodbench.models.recipes.of_layer import ChangedLayer

    top, pool = known.study.top, known.study["pool"]
    found: list[str] = []
    if known.layers is not None:
        with _said_of(top.key("layers"), model):
            found += [one.view for one in choose_layers(network, known.layers, pool)]
    recipes: list[Recipe] = []
    for number, choice in enumerate(known.views):
        with _said_of(top.key("views").item(number), model):
            recipes += create_recipe(choice).of(network)
    found += [one.view for one in recipes]
    if known.inside is not None:
        with _said_of(top.key("view_layers"), model):
            layers = choose_layers(network, known.inside, pool)
        found += [ChangedLayer(one, layer).view for one in recipes if one.layered for layer in layers]
    return found


def _check_score(at: Place, name: str, score: Score, model: Chosen, planned: Sequence[str]) -> None:
    try:
        if score.needs & {"layers", "views"}:
            score.views_among(planned)
            score.views_fitted(planned)
    except ScoreError as error:
        said = score.describe()
        raise at.fault(
            f"is '{name}'{f' with {said}' if said else ''}, which lacks what it reads of '{model.name}': {error.what}",
            "let the study extract it (layers, views, view_layers), or leave the score out",
        ) from None


@contextmanager
def _said_of(at: Place, model: Chosen) -> Iterator[None]:
    """Say at which place of the study, and of which model, something is wrong."""
    try:
        yield
    except MoodbenchError as error:
        raise UsageError(f"{at.path}: '{model.name}': {error.what}", file=at.file, fix=error.fix) from None
