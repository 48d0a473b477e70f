"""What a model computes, said without its weights: how wide its features are, and what its pictures go through."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from moodbench.catalog import ModelSpec
from moodbench.models.build import create
from moodbench.models.clip.library import is_installed, known
from moodbench.models.features import RECIPES
from moodbench.models.outside.library import library_of
from moodbench.models.transforms import record_of, sized


def outline(spec: ModelSpec) -> dict[str, Any]:
    """Return `dim` (D) and `transform` (the record of `moodbench.models.transforms.Transform`) of an entry.

    The network is built without numbers in it, which takes neither weights nor memory. Of one of open_clip where that
    is not installed, and of one that says nothing before it is opened, nothing is known: None, and no transform.

    Raises
    ------
    ModelError
        timm has no such architecture, or not with these arguments.
    """
    if spec.clip is not None:
        if not is_installed():
            return {"dim": None, "transform": {}}
        return {"dim": known(spec.clip).config["embed_dim"], "transform": record_of(spec)}
    if spec.network is not None:
        library = library_of(spec)
        library.check(spec, weights=False)
        said = library.data_config(spec)
        return {"dim": None, "transform": {} if said is None else record_of(spec)}
    network = bare_network(spec)
    assert network is not None
    return {"dim": RECIPES.get(spec.features).width(network), "transform": record_of(spec)}


def bare_network(spec: ModelSpec) -> nn.Module | None:
    """Return the network of an entry without numbers in it; None of one that only says what it is when it is opened.

    Raises
    ------
    ModelError
        timm has no such architecture, or not with these arguments.
    """
    if spec.clip is not None or spec.network is not None:
        return None
    with torch.device("meta"):
        return create(sized(spec), False, pretrained=False)
