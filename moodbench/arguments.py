"""What people write in Python where a function wants names, paths or numbers: one name for several, a text for a path.

Every function that users call hands such arguments through here, so that ``score(model="digits_mim")`` does not look
for the models 'd', 'i', 'g', ….
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, overload

from moodbench.errors import UsageError


def as_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names that are given, each once; a text is one name, and what is none a `UsageError`.

    >>> as_names("digits_mim")
    ('digits_mim',)
    """
    if isinstance(given, str):
        return (given,)
    loose: Any = given  # what people write, not what they should
    names = tuple(loose) if isinstance(loose, Iterable) and not isinstance(loose, bytes) else (loose,)
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"a name is a text, and {name!r:.80} is none", fix="give one name, or a list of names")
    return tuple(dict.fromkeys(names))


@overload
def as_path(given: str | Path) -> Path: ...
@overload
def as_path(given: None) -> None: ...
@overload
def as_path(given: str | Path | None) -> Path | None: ...
def as_path(given: str | Path | None) -> Path | None:
    """Return the path that is given, which may be written as a text, or None; anything else is a `UsageError`."""
    if given is None:
        return None
    if not isinstance(given, str | Path):
        raise UsageError(f"a path is a text or a pathlib.Path, and {given!r:.80} is neither")
    return Path(given)


def as_paths(given: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    """Return the paths that are given; a text is one path."""
    return (Path(given),) if isinstance(given, str | Path) else tuple(map(Path, given))


def check_params(given: Any, example: str) -> None:
    """Raise a `UsageError` unless parameters are given by name, as in `example`, or not at all."""
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"parameters are given by name, and {given!r:.80} names none", fix=f"params={example}")


def check_whole(*, optional: bool = False, **given: Any) -> None:
    """Raise a `UsageError` where what is given under a name is no whole number, nor None if that leaves it out."""
    _check(Integral, "whole number", optional, given)


def check_real(*, optional: bool = False, **given: Any) -> None:
    """Raise a `UsageError` where what is given under a name is no finite number, nor None if that leaves it out."""
    _check(Real, "number", optional, given)


def _check(kind: type, called: str, optional: bool, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if optional and value is None:
            continue
        known = isinstance(value, kind) and not isinstance(value, bool)
        if not known or not math.isfinite(value):
            raise UsageError(f"{name} is a {called}, and {value!r:.80} is none")
