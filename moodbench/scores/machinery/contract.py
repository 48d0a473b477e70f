"""What a class must be to be a score: looked at when it is registered, so that the message comes before the work."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from moodbench.errors import UsageError
from moodbench.params import RESERVED
from moodbench.scores.machinery.written import class_place, is_own
from moodbench.types import COMPUTED

_PLAIN = (bool, int, float, str)


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""What a score may be called: names become parts of options, columns, files and groups of HDF5."""


def check_contract(
    name: object,
    item: Any,
    taken: Collection[str],
    *,
    base: type,
    needs: Collection[str],
    costs: Collection[str],
) -> None:
    """Refuse what cannot be used as a score, and name all that is wrong with it; moodbench's own are held by tests.

    Parameters
    ----------
    name : object
        Under which it is to be registered; a text, if all is well.
    item : object
    taken : collection of str
        The names of other scores.
    base : type
        `Score`.
    needs, costs : collection of str
        What `needs` may hold, and what `cost` may be.

    Raises
    ------
    UsageError
        Names the class, its file and its line.
    """
    if is_own(item):
        return
    if not isinstance(name, str) or not NAME.fullmatch(name):
        faults = ["a name consists of letters, digits, '_', '-' and '.', begins with a letter and has at most 64"]
    elif name in taken:
        faults = ["there is a score of this name already; choose another one"]
    elif isinstance(item, type) and issubclass(item, base):
        faults = list(_faults(item, needs, costs)) or list(_unmade(item))
    else:
        faults = ["it is not a subclass of Score"]
    if faults:
        called = getattr(item, "__name__", repr(item)[:80])
        place = class_place(item)
        line = "" if place is None else f" in line {place[1]}"
        raise UsageError(
            f"'{called}'{line} cannot be the score {_shown(name)}: {'; '.join(faults)}",
            file=None if place is None else place[0],
            fix="docs/extending.md has an example",
        )


def _faults(cls: Any, needs: Collection[str], costs: Collection[str]) -> Iterator[str]:
    for attribute in ("title", "paper"):
        if not hasattr(cls, attribute):
            yield f"it has no {attribute}"
        elif not _is_line(getattr(cls, attribute)):
            yield f"it has a {attribute} that is not a line of text: {_shown(getattr(cls, attribute))}"
    if not hasattr(cls, "family"):
        yield f"it has no family; use one of {', '.join(COMPUTED)}"
    elif cls.family not in COMPUTED:
        yield f"it has the family {_shown(cls.family)}; use one of {', '.join(COMPUTED)}"
    if not isinstance(cls.needs, (set, frozenset)) or not cls.needs <= set(needs):
        yield f"it needs {_shown(cls.needs)}; use a set of {', '.join(map(repr, needs))}"
    if not isinstance(cls.year, int) or isinstance(cls.year, bool):
        yield f"it has a year that is not a whole number: {_shown(cls.year)}"
    if cls.cost not in costs:
        yield f"it has the cost {_shown(cls.cost)}; use one of {', '.join(costs)}"
    for attribute in ("post_relu", "control"):
        if not isinstance(getattr(cls, attribute), bool):
            yield f"{attribute} is {_shown(getattr(cls, attribute))}, not True or False"
    if not isinstance(cls.note, (str, type(None))):
        yield f"it has a note that is not text: {_shown(cls.note)}"
    if "score" in cls.__abstractmethods__:
        yield "it has no method score(self, block)"
    for method, arguments in (("score", "block"), ("fit", "train")):
        if method not in cls.__abstractmethods__ and not _takes_one(getattr(cls, method)):
            yield f"its {method} cannot be called as {method}({arguments})"
    yield from _parameter_faults(cls)
    yield from _sweep_faults(cls)
    yield from _stream_faults(cls)


def _parameter_faults(cls: Any) -> Iterator[str]:
    for field in dataclasses.fields(cls) if "__dataclass_fields__" in cls.__dict__ else ():
        if field.init and not isinstance(field.default, _PLAIN):
            lacks = field.default is dataclasses.MISSING
            words = "no default" if lacks else f"the default {_shown(field.default)}"
            yield f"its parameter {field.name} has {words}; it must be a number, a text, True or False"
        elif isinstance(field.default, str) and (set(field.default) & set(";=") or not field.default.isprintable()):
            yield f"its parameter {field.name} has the default {_shown(field.default)}; results cannot hold ';' and '='"
        elif field.name in RESERVED:
            yield f"it has the parameter {field.name}, which means something else in results; choose another name"
        elif field.name == "seed" and type(field.default) is not int:
            yield f"its parameter seed has the default {_shown(field.default)}; a seed is a whole number"


def _sweep_faults(cls: Any) -> Iterator[str]:
    known = {field.name for field in dataclasses.fields(cls)} if "__dataclass_fields__" in cls.__dict__ else set()
    if not isinstance(cls.sweep, Mapping):
        yield f"its sweep is {_shown(cls.sweep)}; it must map parameters to values, as in {{'k': (1, 10)}}"
        return
    for name, values in cls.sweep.items():
        if name not in known:
            yield f"its sweep names {_shown(name)}, which is none of its parameters"
        elif not isinstance(values, (list, tuple)) or not all(isinstance(value, _PLAIN) for value in values):
            yield f"its sweep of {name} is {_shown(values)}; it must be a list of plain values"


def _stream_faults(cls: Any) -> Iterator[str]:
    reads, asks = hasattr(cls, "stream"), isinstance(cls.needs, (set, frozenset)) and "stream" in cls.needs
    if asks and not reads:
        yield "it needs a stream and is no subclass of moodbench.scores.machinery.streaming.OverStream"
    elif "stream" in cls.__abstractmethods__:
        yield "it has no method stream(self, batches)"
    elif reads and not (asks and {"batch", "seed"} <= set(cls.parameters())):
        yield "it reads a stream, and lacks the need 'stream', or @dataclass and with it the parameters batch and seed"


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _takes_one(method: Any) -> bool:
    try:
        inspect.signature(method).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def _unmade(cls: Any) -> Iterator[str]:
    try:
        cls()
    except Exception as error:  # somebody's code may raise anything
        yield f"it cannot be made with its defaults: {type(error).__name__}: {error!s:.200}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
