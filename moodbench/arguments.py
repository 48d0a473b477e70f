"""What people write in Python where a function wants names or paths: one name for several, a text for a path.

Every function that users call hands such arguments through here, so that ``score(model="digits_mim")`` does not look
for the models 'd', 'i', 'g', ….
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import overload


def as_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names that are given, each once; a text is one name.

    >>> as_names("digits_mim")
    ('digits_mim',)
    """
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


@overload
def as_path(given: str | Path) -> Path: ...
@overload
def as_path(given: None) -> None: ...
@overload
def as_path(given: str | Path | None) -> Path | None: ...
def as_path(given: str | Path | None) -> Path | None:
    """Return the path that is given, which may be written as a text, or None."""
    return None if given is None else Path(given)


def as_paths(given: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    """Return the paths that are given; a text is one path."""
    return (Path(given),) if isinstance(given, str | Path) else tuple(map(Path, given))
