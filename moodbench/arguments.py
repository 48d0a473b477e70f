"""What people write in Python where a function wants names or paths: one name for several, a text for a path.

Every function that users call hands such arguments through here, so that ``score(model="digits_mim")`` does not look
for the models 'd', 'i', 'g', ….
"""

from __future__ import annotations

from collections.abc import Iterable
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
