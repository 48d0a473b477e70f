"""YAML that says plain values: texts, numbers, ``true``, ``false``, ``null``, lists and mappings with texts as keys.

Everything else that YAML knows is either refused, with its line (tags, a key twice, aliases that unfold to more than
a catalogue ever says), or just a text: dates, ``yes`` and ``no``, ``1:30``, ``0x1F``, ``010``, ``1_000`` and
``.inf`` are what they look like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

MOST_DEPTH = 20
"""Lists and mappings inside one another; catalogues need six."""

MOST_VALUES = 1_000_000
"""In a file, with what its aliases stand for; the built-in catalogues have a few thousand."""

_MERGE = "\0merge"
"""Stands for the key ``<<``; no text has a zero in it."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_MOST_DIGITS = 18


class PlainError(ValueError):
    """It is not valid YAML, or not plain; the message says which, and where."""


def load_plain(text: str) -> Any:
    """Return what a YAML text says; None if it is empty.

    Raises
    ------
    PlainError
        It is not valid YAML, or says something that is not plain.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise PlainError(
            "not valid YAML: " + " ".join(str(error).replace('in "<unicode string>",', "at").split())
        ) from None
    except (UnicodeError, ValueError) as error:
        if isinstance(error, PlainError):
            raise
        raise PlainError(f"not valid YAML: {error!s:.200}") from None  # of the pure Python parser
    return builder.document


@dataclass
class _Open:
    """A list or mapping that is being filled."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    count: int = 1
    key: str | None = None
    merged: dict[str, Any] | None = None


class _Builder:
    """Builds values from the events of the parser, without recursion: depth is counted, not suffered."""

    def __init__(self) -> None:
        self.document: Any = None
        self._documents = 0
        self._open: list[_Open] = []
        self._anchored: dict[str, tuple[Any, int]] = {}

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            if event.anchor is not None:
                self._anchored[event.anchor] = (value, 1)
            self._put(value, 1, event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchored:
                raise _error(event, f"*{event.anchor} stands for nothing that ends above it")
            self._put(*self._anchored[event.anchor], event)
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if event.tag is not None:
                raise _error(event, f"the tag {event.tag} means nothing here")
            if len(self._open) == MOST_DEPTH:
                raise _error(event, f"more than {MOST_DEPTH} lists and mappings lie inside one another")
            begun: list[Any] | dict[str, Any] = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            self._put(begun, 0, event)
            self._open.append(_Open(begun, event.anchor))
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            done = self._open.pop()
            if done.merged is not None and isinstance(done.value, dict):
                own = dict(done.value)
                done.value.clear()
                done.value.update({**done.merged, **own})
            if self._open:
                self._count(done.count, event)
            if done.anchor is not None:
                self._anchored[done.anchor] = (done.value, done.count)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _error(event, "a second document begins")

    def _put(self, value: Any, count: int, event: Any) -> None:
        if not self._open:
            self.document = value
            return
        self._count(count, event)
        into = self._open[-1]
        if isinstance(into.value, list):
            into.value.append(value)
        elif into.key is None:
            into.key = self._key(value, into.value, event)
        elif into.key == _MERGE:
            if not isinstance(value, dict) or into.merged is not None:
                raise _error(event, "<< takes one mapping, as in  <<: *name")
            into.merged, into.key = value, None
        else:
            into.value[into.key] = value
            into.key = None

    def _count(self, count: int, event: Any) -> None:
        self._open[-1].count += count
        if self._open[-1].count > MOST_VALUES:
            raise _error(event, f"there are more than {MOST_VALUES} values, with those that aliases stand for")

    @staticmethod
    def _key(value: Any, into: dict[str, Any], event: Any) -> str:
        if not isinstance(value, str):
            shown = f'{value!r}: quote it, as in "{value}"' if isinstance(value, (int, float)) else repr(value)
            raise _error(event, f"a key must be a text, and this is {shown}")
        if value == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            return _MERGE
        if value in into:
            raise _error(event, f"the key '{value}' occurs twice")
        return value


def _scalar(event: Any) -> Any:
    plain, _ = event.implicit
    if event.tag is not None:
        raise _error(event, f"the tag {event.tag} means nothing here")
    value: str = event.value
    if plain:
        return _plain(event, value)
    if any(ord(c) < 32 and c not in "\t\n" for c in value):
        raise _error(event, "a text has a character that cannot be shown")
    return value


def _plain(event: Any, text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-+.0123456789":  # the first of a number
        if _WHOLE.fullmatch(text):
            if len(text) > _MOST_DIGITS:
                raise _error(event, f"a number has more than {_MOST_DIGITS} digits; quote it if it is a text")
            return int(text)
        if _DECIMAL.fullmatch(text) and any(c.isdigit() for c in text):
            number = float(text)
            if abs(number) == float("inf"):
                raise _error(event, f"the number {text:.40} is too large")
            return number
    return text


def _error(event: Any, what: str) -> PlainError:
    return PlainError(f"not plain YAML: line {event.start_mark.line + 1}: {what}")
