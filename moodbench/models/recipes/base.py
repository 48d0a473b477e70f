"""The contract of a recipe of changed images, and the registry that finds them.

A recipe is given a network and a batch of transformed pictures, and returns one vector of each: the features of the
pictures as it has changed them, or numbers that it makes on its way (with gradients, with maps of layers). That is
cached as ``MODEL@view-NAME-VALUES`` beside the model's own features. A new recipe is one module in this package::

    @VIEWS.register("uphill")
    @dataclass(frozen=True)
    class Uphill(Recipe):
        head = True  # it reads the model's own head, or the one that is named
        paper = "..."
        eps: float = 0.01  # a parameter: a dataclass field with a default; the first one is always part of the name

        def __post_init__(self) -> None:
            self.refuse_outside("eps", 0, STEP, NORMALISED)

        def compute(self, seen: Pass) -> Tensor:
            gradient = seen.gradient(lambda features: seen.logits(features).amax(1))
            return seen.forward(seen.images - self.eps * gradient.sign())

The cache's logits are made of what it returns by the model's head, unless it says ``numbers = True``: then these are no
features, and there are none. With ``layered = True`` the layers of its last pass can be cached as well.
"""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from moodbench.errors import UsageError
from moodbench.models.recipes.seen import Pass
from moodbench.registry import Registry
from moodbench.types import Head, NamedHead
from moodbench.views import CHANGED, WITH_HEAD, ChangedChoice, split_head, split_layer

MOST = 1e6
"""Largest value of a parameter; whatever is larger is a slip."""

COLDEST = 1e-3
"""Lowest temperature: below it, differences of logits leave the range of float32."""

IN_PIXELS = "a step in pixels on a scale from 0 to 1"
"""What steps are that are divided by the transform's standard deviation: at most 1, the whole of that scale."""

NORMALISED = "a step in the numbers that the network sees, where the pixels of a picture span about 4"
STEP = 10.0
"""The longest step in those numbers: black to white is 1 over the standard deviation, which is seldom below 0.2."""


@dataclasses.dataclass(frozen=True)
class Recipe(ABC):
    """Base class of all recipes. Subclasses are frozen dataclasses whose fields, with defaults, are their parameters.

    Class attributes
    ----------------
    head : it reads a head, and cannot do without: the model's own, or `other`
    gradients : it asks `Pass.gradient` of the pictures as they are; they are then shared with the plain forward pass
    numbers : it returns numbers of its own, no features of the network, and no head can be put on them
    layered : it returns the features of the last pass that it asks `Pass.forward` for, whose layers may be cached too
    paper : where it is from

    Attributes
    ----------
    other : NamedHead, optional
        Read in the place of the model's own head: no parameter, `with_head` sets it.
    """

    head: ClassVar[bool] = False
    gradients: ClassVar[bool] = True
    numbers: ClassVar[bool] = False
    layered: ClassVar[bool] = False
    paper: ClassVar[str] = ""

    other: NamedHead | None = dataclasses.field(default=None, kw_only=True)

    def with_head(self, other: NamedHead | None) -> Recipe:
        """Return the recipe that reads this head; itself where it reads none."""
        return dataclasses.replace(self, other=other) if self.head else self

    @abstractmethod
    def compute(self, seen: Pass) -> Tensor:
        """Return one vector of each picture, (B, D) float32.

        A row must not depend on the others of its batch: whatever is drawn by chance is drawn from the numbers of the
        rows (`Pass.numbers`), whatever is summed over rows is taken apart again. Gradients are off, `Pass.gradient`
        and ``torch.enable_grad()`` switch them on; the weights have none.
        """

    def of(self, network: nn.Module) -> Sequence[Recipe]:
        """Return the recipes that are meant on this network: itself, or one for each of several layers.

        Raises
        ------
        UnknownNameError
            The network has no such layer.
        """
        return [self]

    def reads(self, network: nn.Module) -> Sequence[str]:
        """Return the modules whose outputs it asks `Pass.output` for. None by default."""
        return ()

    def watches(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the modules at whose outputs it asks `Pass.gradients_at` for gradients. None by default."""
        return ()

    def check(self, network: nn.Module, head: Head | None) -> None:  # noqa: B027
        """Refuse a network that it cannot be used on, before anything is computed. Nothing by default.

        Raises
        ------
        ModelError
        """

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """Return the parameters' names and default values."""
        return {field.name: field.default for field in dataclasses.fields(cls) if field.name != "other"}

    @property
    def name(self) -> str:
        """Under which it is registered."""
        return next(name for name in VIEWS if VIEWS.get(name) is type(self))

    @property
    def view(self) -> str:
        """What follows ``@`` in the name of its cache: the first parameter, and the others where they are not usual.

        ``view-odin-0.0014``, or ``view-odin-0.002-temperature10``; with another head ``view-odin-0.0014-head-probe``.
        """
        parts = [CHANGED + self.name]
        for position, (key, usual) in enumerate(self.parameters().items()):
            value = getattr(self, key)
            if position == 0 or value != usual:
                parts.append(("" if position == 0 else key) + _written(value))
        return "-".join(parts) + ("" if self.other is None else WITH_HEAD + self.other.name)

    @property
    def noted(self) -> dict[str, Any]:
        """What the provenance of its cache notes."""
        values = {key: getattr(self, key) for key in self.parameters()}
        other = {} if self.other is None else {"head_name": self.other.name, "head_sha256": self.other.digest}
        return {"view": {"name": self.name, "parameters": values, "head": self.head, **other}}

    def refuse_outside(self, parameter: str, low: float, high: float, meaning: str = "") -> None:
        """Raise a `UsageError` unless a number lies between the two, which says what it means."""
        what = f"is {meaning}, and must" if meaning else "must"
        fine = low <= getattr(self, parameter) <= high
        self.refuse_unless(fine, parameter, f"{what} lie between {low:g} and {high:g}")

    def refuse_unless(self, fine: bool, parameter: str, wanted: str) -> None:
        """Raise a `UsageError` that says what a parameter must be, unless that is so."""
        if not fine:
            got = _written(getattr(self, parameter))
            raise UsageError(
                f"the parameter '{parameter}' of the view '{self.name}' {wanted}, got {got}",
                fix=f"--view {self.name}:{parameter}={_written(self.parameters()[parameter])}",
            )


VIEWS: Registry[type[Recipe]] = Registry("view", package="moodbench.models.recipes")


def create_recipe(choice: ChangedChoice) -> Recipe:
    """Return the recipe that is asked for, with the parameters that are given.

    Raises
    ------
    UnknownNameError
        There is none of that name.
    UsageError
        It has no such parameter, or the value is none for it.
    """
    cls = VIEWS.get(choice.name)
    usual = cls.parameters()
    values = {}
    for key, value in choice.parameters:
        if key not in usual:
            raise UsageError(
                f"the view '{choice.name}' has no parameter '{key}'",
                fix=f"its parameters: {', '.join(usual) or 'none'}",
            )
        values[key] = _read(choice.name, key, value, usual[key])
    return cls(**values)


def choice_of(view: str) -> str:
    """Return what ``--view`` is to be given for a view of this name, as ``odin:eps=0.01`` of ``view-odin-0.01``.

    What says which layer it is of, or with which other head it was made, follows: ``odin --view-head probe``.

    Raises
    ------
    UnknownNameError
        No recipe makes it.
    """
    view, layer = split_layer(view)
    view, head = split_head(view)
    name, _, rest = view.removeprefix(CHANGED).partition("-")
    usual = VIEWS.get(name).parameters()
    first, *others = re.split(f"-(?={'|'.join(map(re.escape, usual))})", rest) if usual and rest else [""]
    given = dict(zip(usual, [first] if first else [], strict=False))
    for part in others:
        key = next(key for key in sorted(usual, key=len, reverse=True) if part.startswith(key))
        given[key] = part.removeprefix(key)
    parameters = [f"{key}={value}" for key, value in given.items() if value != _written(usual[key])]
    options = "" if layer is None else f" --view-layers {layer.layer}" + (f" --pool {layer.pool}" if layer.pool else "")
    options += "" if head is None else f" --view-head {head}"
    return name + (":" + ",".join(parameters) if parameters else "") + options


def _read(name: str, key: str, text: str, usual: Any) -> Any:
    """Return the value that a text means, of the type of the usual one."""
    value: Any
    if isinstance(usual, bool):
        value = {"true": True, "false": False}.get(text.lower())
    elif isinstance(usual, str):
        value = text or None
    else:
        try:
            value = type(usual)(text)
        except ValueError:
            value = None
        if value is not None and not (math.isfinite(value) and abs(value) <= MOST):
            value = None
    if value is None:
        kinds: Mapping[str, str] = {"bool": "true or false", "int": "a whole number", "str": "a text"}
        kind = kinds.get(type(usual).__name__, "a number")
        raise UsageError(
            f"'{text}' is not {kind}, or is too large, which the parameter '{key}' of the view '{name}' should be",
            fix=f"--view {name}:{key}={_written(usual)}",
        )
    return value


def _written(value: Any) -> str:
    """Return a value as part of a name; equal texts are equal values."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
