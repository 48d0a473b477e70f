"""One entry of a catalogue, whose keys are taken one by one so that what is left over is unknown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from moodbench.choices import PretextTask, pretext_fault
from moodbench.errors import CatalogError

REQUIRED: Any = object()
"""Default of a key that must be there."""

UNKNOWN = "unknown"
"""What an entry says where nobody has published a size or digest: said, never guessed."""

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_MOST_BYTES = 10**18
_MOST_SHOWN = 100
_DIGITS = {"md5": 32, "sha256": 64, "git_blob": 40}


class Entry:
    """A mapping of keys to values with the name it stands under. Taking a key checks its value."""

    def __init__(self, kind: str, name: str, values: object, file: Path) -> None:
        self.kind, self.name, self.file = kind, name, file
        if not isinstance(values, dict):
            raise self.error(f"must be a mapping of keys to values, not {type(values).__name__}")
        self._left = dict(values)
        self._known: list[str] = []

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = REQUIRED) -> Any:
        """Return the value of `key`, which must be of a type `kind`."""
        self._known.append(key)
        if key not in self._left:
            if default is REQUIRED:
                may_be_unknown = key in _DIGITS or key == "bytes"
                raise self.error(
                    f"lacks the key '{key}'",
                    fix=f"write  {key}: {UNKNOWN}  if nobody has published it" if may_be_unknown else None,
                )
            return default
        value = self._left.pop(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(k.__name__ for k in kinds)
            quoted = f'quote it:  {key}: "{value}"' if str in kinds and isinstance(value, (int, float)) else None
            if bool in kinds and isinstance(value, str):
                quoted = "write true or false"
            raise self.error(f"has {key}: {shown(value)}, which should be of type {wanted}", fix=quoted)
        return value

    def text(self, key: str) -> str | None:
        """Return an optional text."""
        value: str | None = self.take(key, str, None)
        return value

    def path(self, key: str) -> Path | None:
        """Return an optional path, relative to the catalogue's file."""
        value = self.text(key)
        return None if value is None else self.beside(value)

    def beside(self, value: str) -> Path:
        """Return `value` as a path relative to the catalogue's file."""
        try:
            path = (self.file.parent / Path(value).expanduser()).absolute()
        except RuntimeError as error:  # ~NAME of somebody who is not known here
            raise self.error(f"has the path '{value}': {error}") from None
        if not value:
            raise self.error("has an empty path", fix="leave the key out, or write  .  for the catalogue's own folder")
        return path

    def choice(self, key: str, allowed: tuple[str, ...], default: Any = REQUIRED) -> str:
        """Return a text that is one of `allowed`."""
        value: str = self.take(key, str, default)
        if value not in allowed:
            raise self.error(f"has {key}: '{value}'", fix=f"use one of: {', '.join(allowed)}")
        return value

    def pretext(self, key: str) -> str:
        """Return the name of a pretext task: any text that is not nearly a known one."""
        value: str = self.take(key, str)
        fault = pretext_fault(value)
        if fault is not None:
            raise self.error(
                f"has {key}: '{value[:80]}', {fault}", fix=f"known are: {', '.join(get_args(PretextTask))}"
            )
        return value

    def strings(self, key: str, default: Any = ()) -> tuple[str, ...]:
        """Return a list of texts; a single text is a list of one."""
        return self.as_strings(key, self.take(key, (str, list, type(None)), default))

    def as_strings(self, key: str, value: object) -> tuple[str, ...]:
        """Return `value` as texts, or complain about `key`."""
        values = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(values, (list, tuple)) or not all(isinstance(v, str) for v in values):
            raise self.error(f"has {key}: {shown(value)}, which should be a list of texts")
        return tuple(values)

    def number(self, key: str, default: Any = REQUIRED) -> int:
        """Return a whole number above zero."""
        value: int = self.take(key, int, default)
        if value is not None and value < 1:
            raise self.error(f"has {key}: {value}, which should be a number above zero")
        return value

    def size(self, key: str, default: Any = REQUIRED) -> int | None:
        """Return a number of bytes, which may be written ``5 GB``; None if it says ``unknown``."""
        value = self.take(key, (int, str), default)
        if value is None or value == UNKNOWN:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]?B)", value) if isinstance(value, str) else None
        number = value if isinstance(value, int) else None if match is None else float(match[1]) * _UNITS[match[2]]
        if number is None or not 1 <= number <= _MOST_BYTES:
            raise self.error(f"has {key}: {shown(value)}, which should be a number of bytes, as 5000000 or '5 MB'")
        return int(number)

    def digest(self, key: str, default: Any = REQUIRED) -> str | None:
        """Return a digest in hex (`key` names its kind); None if it says ``unknown``."""
        value: str | None = self.take(key, str, default)
        if value is None or value == UNKNOWN:
            return None
        if re.fullmatch(f"[0-9a-f]{{{_DIGITS[key]}}}", value) is None:
            raise self.error(f"has {key}: '{value}', which should be {_DIGITS[key]} hexadecimal digits, or '{UNKNOWN}'")
        return value

    def measure(self, key: str, most: float) -> float | None:
        """Return an optional number above zero and at most `most`."""
        value: float | None = self.take(key, (int, float), None)
        if value is not None and not 0 < value <= most:
            raise self.error(f"has {key}: {value}, which should be a number above zero and at most {most:g}")
        return value

    def has(self, key: str) -> bool:
        """Whether `key` is there, and was not taken yet."""
        return key in self._left

    def rest(self) -> dict[str, Any]:
        """Return the keys that were not taken yet."""
        return dict(self._left)

    def finish(self) -> None:
        """Complain about keys that nobody took."""
        if self._left:
            unknown = ", ".join(f"'{key}'" for key in self._left)
            raise self.error(f"has the unknown key {unknown}", fix=f"known keys: {', '.join(sorted(self._known))}")

    def error(self, what: str, fix: str | None = None) -> CatalogError:
        """Return the error that this entry is `what`."""
        return CatalogError(f"the {self.kind} '{self.name}' {what}", file=self.file, fix=fix)


def shown(value: object) -> str:
    """Return a value as a message shows it, not longer than a line."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
