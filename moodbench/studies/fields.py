"""Kinds of values in a study file. Each checks a value, naming its place, and says itself as JSON schema."""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from moodbench.errors import UsageError
from moodbench.studies.own_files import output_name

REQUIRED: Any = object()
"""Default of a key that must be there."""

_MOST_SHOWN = 60


@dataclass(frozen=True)
class Place:
    """Where in which file a value stands: ``models[2].image.size``."""

    file: Path
    path: str = ""

    def key(self, name: str) -> Place:
        """Return the place of a key in a mapping that stands here."""
        return Place(self.file, f"{self.path}.{name}" if self.path else name)

    def item(self, number: int) -> Place:
        """Return the place of an item of a list that stands here, counted from 1 as people count."""
        return Place(self.file, f"{self.path}[{number + 1}]")

    def fault(self, what: str, fix: str | None = None) -> UsageError:
        """Return the error that what stands here is not as it should be."""
        return UsageError(f"{self.path or 'the study'} {what}", file=self.file, fix=fix)

    def wrong(self, value: object, wanted: str, fix: str | None = None) -> UsageError:
        """Return the error that something else was expected here."""
        return self.fault(f"is {shown(value)}, and should be {wanted}", fix)


class Kind(ABC):
    """What a value may be."""

    words: str
    """What was expected, in words that follow "should be"."""

    @abstractmethod
    def read(self, value: object, at: Place) -> Any:
        """Return the value, checked; a `UsageError` that names its place where it is something else."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the same as JSON schema (draft 2020-12)."""


@dataclass(frozen=True)
class Text(Kind):
    """A text, not empty."""

    words: str = "a text"

    def read(self, value: object, at: Place) -> str:
        """Refuse what is no text."""
        if not isinstance(value, str):
            quoted = isinstance(value, (int, float)) and not isinstance(value, bool)
            raise at.wrong(value, self.words, f'quote it:  "{value}"' if quoted else None)
        if not value.strip():
            raise at.wrong(value, self.words, "leave the key out, or say something")
        return value

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class Inches(Text):
    """A word, or a number of inches."""

    words: str = "column, text, or a number of inches"

    def read(self, value: object, at: Place) -> str:
        """Take a number as its text."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return super().read(str(value) if number else value, at)

    def schema(self) -> dict[str, Any]:
        """A string or a number."""
        return {"type": ["string", "number"]}


@dataclass(frozen=True)
class File(Text):
    """The path of a file that is read, relative to the study's own folder."""

    words: str = "the path of a file"


@dataclass(frozen=True)
class Output(Text):
    """The name of a file that is written into the study's folder."""

    words: str = "the name of a file in the study's folder"

    def read(self, value: object, at: Place) -> str:
        """Refuse what would lie elsewhere, or on a file of the folder's own."""
        name = output_name(super().read(value, at))
        if name is None:
            fix = "write grid.md or tables/grid.md; results/, inputs/ and the folder's own files are taken"
            raise at.wrong(value, self.words, fix)
        return name


@dataclass(frozen=True)
class Flag(Kind):
    """``true`` or ``false``."""

    words: str = "true or false"

    def read(self, value: object, at: Place) -> bool:
        """Refuse everything else, ``yes`` too."""
        if not isinstance(value, bool):
            raise at.wrong(value, self.words)
        return value

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number, `least` or more."""

    least: int = 1

    @property
    def words(self) -> str:  # type: ignore[override]
        """With its limit."""
        return f"a whole number, {self.least} or more"

    def read(self, value: object, at: Place) -> int:
        """Refuse other numbers."""
        if isinstance(value, bool) or not isinstance(value, int) or value < self.least:
            raise at.wrong(value, self.words)
        return value

    def schema(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", "minimum": self.least}


@dataclass(frozen=True)
class Number(Kind):
    """A finite number above zero."""

    words: str = "a number above zero"

    def read(self, value: object, at: Place) -> float:
        """Refuse what is none."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise at.wrong(value, self.words)
        return value

    def schema(self) -> dict[str, Any]:
        """A number."""
        return {"type": "number", "exclusiveMinimum": 0}


@dataclass(frozen=True)
class Word(Kind):
    """One of a fixed few words, a ``Literal`` of `moodbench.choices`."""

    choice: Any

    @property
    def allowed(self) -> tuple[str, ...]:
        """The words."""
        return get_args(self.choice)

    @property
    def words(self) -> str:  # type: ignore[override]
        """All of them."""
        return "one of " + ", ".join(self.allowed)

    def read(self, value: object, at: Place) -> str:
        """Refuse others, with the nearest."""
        if value not in self.allowed:
            raise at.wrong(value, self.words, nearest(str(value), self.allowed))
        return str(value)

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": [*self.allowed]}


@dataclass(frozen=True)
class Names(Kind):
    """A list of texts, each once; a single text is a list of one. It is not empty."""

    of: Text = Text()
    words: str = "a list of texts"

    def read(self, value: object, at: Place) -> tuple[str, ...]:
        """Refuse empty lists, and what stands there twice."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list):
            raise at.wrong(value, self.words)
        if not values:
            raise at.fault("is an empty list", "leave the key out, or name something")
        found = tuple(self.of.read(one, at.item(number)) for number, one in enumerate(values))
        refuse_twice(found, at)
        return found

    def schema(self) -> dict[str, Any]:
        """A string, or an array of them."""
        one = self.of.schema()
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}]}


@dataclass(frozen=True)
class List(Kind):
    """A list of values of one kind, not empty."""

    of: Kind
    words: str = "a list"

    def read(self, value: object, at: Place) -> tuple[Any, ...]:
        """Read each item."""
        if not isinstance(value, list):
            raise at.wrong(value, f"{self.words} of which each is {self.of.words}")
        if not value:
            raise at.fault("is an empty list", "leave the key out, or say something")
        return tuple(self.of.read(one, at.item(number)) for number, one in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """An array."""
        return {"type": "array", "items": self.of.schema(), "minItems": 1}


@dataclass(frozen=True)
class Either(Kind):
    """A short form, or a mapping that says more."""

    short: Kind
    long: Keys

    @property
    def words(self) -> str:  # type: ignore[override]
        """Both."""
        return f"{self.short.words}, or {self.long.words}"

    def read(self, value: object, at: Place) -> Any:
        """Read a mapping as one, and anything else as the short form."""
        if isinstance(value, dict):
            return self.long.read(value, at)
        if isinstance(value, list):
            raise at.wrong(value, self.words)
        try:
            return self.short.read(value, at)
        except UsageError as error:
            raise at.wrong(value, self.words, error.fix) from None

    def schema(self) -> dict[str, Any]:
        """Any of both."""
        return {"anyOf": [self.short.schema(), self.long.schema()]}


@dataclass(frozen=True)
class Parameters(Kind):
    """Score → parameter → a value, or a list of values that all are run."""

    words: str = "a mapping of scores to their parameters, as  vim: {dim: [64, 128]}"

    def read(self, value: object, at: Place) -> dict[str, dict[str, Any]]:
        """Check the form; what the values may be, the scores know."""
        if not isinstance(value, dict):
            raise at.wrong(value, self.words)
        for score, params in value.items():
            if not isinstance(params, dict) or not params:
                raise at.key(score).wrong(params, f"a mapping of parameters to values, as  {score}: {{NAME: VALUE}}")
            for name, given in params.items():
                here = at.key(score).key(name)
                values = given if isinstance(given, list) else [given]
                if not values:
                    raise here.fault("is an empty list", "leave it out, or give a value")
                if any(one is None or isinstance(one, (list, dict)) for one in values):
                    raise here.wrong(given, "a value, or a list of values")
                refuse_twice(tuple(values), here)
        return value

    def schema(self) -> dict[str, Any]:
        """An object of objects."""
        one = {"type": ["string", "number", "boolean"]}
        value = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
        return {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": value}}


@dataclass(frozen=True)
class Key:
    """A key of a mapping: what its value may be, what it means, and what it is where nobody says."""

    kind: Kind
    about: str
    default: Any = None


@dataclass(frozen=True)
class Keys(Kind):
    """A mapping with these keys and no others. It is read as a dict that has all of them."""

    known: Mapping[str, Key]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Keys that people look for here, and what to do in their place."""

    @property
    def words(self) -> str:  # type: ignore[override]
        """The keys that there are."""
        return f"a mapping with the keys {', '.join(self.known)}"

    def read(self, value: object, at: Place) -> dict[str, Any]:
        """Refuse unknown keys, with the nearest, and what is missing."""
        if not isinstance(value, dict):
            raise at.wrong(value, self.words)
        for name in value:
            if name in self.elsewhere:
                raise at.key(name).fault("is no key of a study", self.elsewhere[name])
            if name not in self.known:
                listed = f"keys here: {', '.join(self.known)}"
                raise at.key(name).fault("is no key of a study" + _hint(name, [*self.known]), listed)
        found = {}
        for name, key in self.known.items():
            if name in value:
                found[name] = key.kind.read(value[name], at.key(name))
            elif key.default is REQUIRED:
                raise at.fault(f"lacks the key '{name}'", f"{name}: {key.about}")
            else:
                found[name] = key.default
        return found

    def schema(self) -> dict[str, Any]:
        """An object that is closed."""
        properties = {name: {"description": key.about, **key.kind.schema()} for name, key in self.known.items()}
        required = [name for name, key in self.known.items() if key.default is REQUIRED]
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }


def refuse_twice(values: Sequence[object], at: Place) -> None:
    """Refuse a list that has something twice."""
    for number, one in enumerate(values):
        if any(one == other and type(one) is type(other) for other in values[:number]):
            raise at.item(number).fault(f"is {shown(one)} a second time", "name it once")


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the advice to write the nearest of some words, or None where none is near."""
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else None


def _hint(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f". Did you mean '{near[0]}'?" if near else ""


def shown(value: object) -> str:
    """Return a value as a message shows it, in the words of YAML, not longer than a line."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list" if value else "an empty list"
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
