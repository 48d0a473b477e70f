"""Views of images: more than one vector of each, every kind a cache of its own beside the model's.

``MODEL[@VARIANT]@layer-NAME[-POOL]`` names what a layer of the network returned, pooled; ``MODEL[@VARIANT]@view-NAME``
the features of changed images, and ``…@view-NAME-layer-NAME[-POOL]`` what a layer returned of those. All are models
like every other to whatever reads caches. This module alone knows how such names are made and taken apart; the layers'
own names are timm's (``blocks.3``, ``layer2``), which have no hyphen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from moodbench.errors import UnknownNameError, UsageError

LAYER, CHANGED = "layer-", "view-"
"""What the names of views begin with; variants cannot."""

RUN, MEMBER = "run-", "member-"
"""What stands before the name of another model whose rows lie beside: a training run of the same recipe, or one that
somebody named. No cache is called so."""

WITH_HEAD = "-head-"
"""What the name of another head follows in the name of a view that reads one; no parameter of a recipe has it."""

OF_LAYER = f"-{LAYER}"
"""What the name of a layer follows in the name of a view of changed images; neither parameters nor values have it."""

POOLS = ("cls", "mean", "std")
"""How the outputs of a layer become one vector: the class token, or mean or standard deviation over patches or map."""

_EVERY = re.compile(r"every:([0-9]+)")


def is_view(part: str) -> bool:
    """Say whether what follows a model's ``@`` names a view of it, and no variant."""
    return part.startswith((LAYER, CHANGED))


def other_model(name: str) -> str | None:
    """Return the model that vectors beside a model's own are of, where they are no view of that model."""
    return next((name.removeprefix(kind) for kind in (RUN, MEMBER) if name.startswith(kind)), None)


def split_at(text: str) -> tuple[str | None, str | None]:
    """Split what follows the first ``@`` of a model's name into variant and view.

    >>> split_at("moodv2@layer-blocks.3")
    ('moodv2', 'layer-blocks.3')
    """
    if is_view(text):
        return None, text
    variant, at, view = text.rpartition("@")
    return (variant, view) if at and is_view(view) else (text, None)


def split_head(view: str) -> tuple[str, str | None]:
    """Split the name of a view of changed images into what it is called with the model's own head, and another head.

    >>> split_head("view-odin-0.0014-head-probe")
    ('view-odin-0.0014', 'probe')
    """
    own, there, head = view.partition(WITH_HEAD)
    return (own, head) if there and view.startswith(CHANGED) else (view, None)


def natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts names of layers by the numbers in them: ``blocks.2`` before ``blocks.10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


@dataclass(frozen=True)
class LayerView:
    """The view that a layer is.

    Attributes
    ----------
    layer : str
        Its name in timm.
    pool : str or None
        One of `POOLS`; None: as the model itself pools its last layer.
    """

    layer: str
    pool: str | None = None

    @property
    def name(self) -> str:
        """What scores call it: the layer, with its pool where that is not the model's own."""
        return self.layer + ("" if self.pool is None else f"-{self.pool}")

    def __str__(self) -> str:
        return LAYER + self.name

    @classmethod
    def parse(cls, view: str | None) -> Self | None:
        """Take the name of a view apart; None where it is not that of a layer.

        >>> LayerView.parse("layer-blocks.3-cls")
        LayerView(layer='blocks.3', pool='cls')
        """
        if view is None or not view.startswith(LAYER):
            return None
        name, hyphen, pool = view.removeprefix(LAYER).rpartition("-")
        return cls(name, pool) if hyphen and pool in POOLS else cls(view.removeprefix(LAYER))


def split_layer(view: str) -> tuple[str, LayerView | None]:
    """Split the name of a view of changed images into that of their features, and the layer that it is of, if one.

    >>> split_layer("view-odin-0.0014-layer-blocks.3-head-probe")
    ('view-odin-0.0014-head-probe', LayerView(layer='blocks.3', pool=None))
    """
    own, head = split_head(view)
    changed, there, layer = own.partition(OF_LAYER)
    if not (there and layer and own.startswith(CHANGED)):
        return view, None
    return changed + ("" if head is None else WITH_HEAD + head), LayerView.parse(LAYER + layer)


def layer_of(view: str, layer: LayerView) -> str:
    """Return the name of a layer of changed images; `split_layer` takes it apart.

    >>> layer_of("view-odin-0.0014-head-probe", LayerView("blocks.3", "cls"))
    'view-odin-0.0014-layer-blocks.3-cls-head-probe'
    """
    own, head = split_head(view)
    return f"{own}-{layer}" + ("" if head is None else WITH_HEAD + head)


@dataclass(frozen=True)
class ChangedChoice:
    """Which changed images are wanted: a recipe, and what it is given of its parameters.

    >>> ChangedChoice.parse("odin:eps=0.002,temperature=10")
    ChangedChoice(name='odin', parameters=(('eps', '0.002'), ('temperature', '10')))
    """

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME`` or ``NAME:PARAMETER=VALUE,…``.

        Raises
        ------
        UsageError
            It is neither, or a parameter is given twice.
        """
        name, colon, rest = text.partition(":")
        pairs = [part.partition("=") for part in rest.split(",")] if colon else []
        given = tuple((key.strip(), value.strip()) for key, _, value in pairs)
        if not name.strip() or any(not (key and value) for key, value in given):
            raise UsageError(f"'{text}' does not say which view", fix="--view NAME or --view NAME:PARAMETER=VALUE,…")
        keys = [key for key, _ in given]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise UsageError(f"'{text}' gives '{twice}' twice", fix="one value for each --view")
        return cls(name.strip(), given)


@dataclass(frozen=True)
class LayerChoice:
    """Which of a network's layers are wanted: every n-th, the last among them, or these names.

    >>> LayerChoice.parse("every:3").of([f"blocks.{i}" for i in range(12)])
    ('blocks.2', 'blocks.5', 'blocks.8', 'blocks.11')
    """

    every: int = 0
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, option: str = "--layers") -> Self:
        """Read ``all``, ``every:N`` or ``NAME,NAME``; `option` is named where it is none of them.

        Raises
        ------
        UsageError
            It is none of them.
        """
        if text.strip() == "all":
            return cls(every=1)
        names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
        every = _EVERY.fullmatch(text.strip())
        if every is not None and int(every[1]) > 0:
            return cls(every=int(every[1]))
        if any(not name or name == "all" or ":" in name or any(map(str.isspace, name)) for name in names):
            raise UsageError(
                f"'{text}' does not say which layers",
                fix=f"{option} all, {option} every:3, or {option} NAME,NAME",
            )
        return cls(names=names)

    def of(self, offered: Sequence[str]) -> tuple[str, ...]:
        """Return those of the layers that a network offers, in its order.

        Raises
        ------
        UnknownNameError
            It does not offer one.
        """
        for name in self.names:
            if name not in offered:
                raise UnknownNameError("layer", name, offered)
        if self.names:
            return tuple(name for name in offered if name in self.names)
        return tuple(name for i, name in enumerate(offered) if (len(offered) - 1 - i) % self.every == 0)
