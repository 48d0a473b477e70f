"""Parameters of scores as people give them: of the right type, finite, and not so large that memory ends first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from moodbench.errors import UsageError

MOST: Mapping[str, int] = {
    "k": 10_000,
    "rows": 1_000_000,
    "bins": 10_000,
    "points": 10_000,
    "directions": 10_000,
    "dimensions": 4_096,
    "clusters": 10_000,
    "trees": 10_000,
    "tail": 10_000,
    "order": 1_000,
    "seed": 2**32 - 1,
}
"""Largest whole numbers that parameters of these names may be: each of them is a side of an array, or a count of passes
over one, and a word means the same in every score. Ten times what any paper tried, or more."""

LEAST: Mapping[str, int] = {"seed": 0}
"""Smallest whole numbers, where those of a name may not be any; what else a score does not take, it refuses itself."""

MOST_OTHERWISE = 1_000_000
MOST_DECIMAL = 1e12
MOST_TEXT = 1000


def checked(score: str, key: str, value: Any, default: Any, *, text: bool = True) -> Any:
    """Return `value` in the type of the parameter's default.

    Parameters
    ----------
    score, key : str
    value : object
    default : bool, int, float or str
    text : bool
        Text is converted, as on the command line wants it; False: it is no number, as in Python.

    Raises
    ------
    UsageError
        It has another type, is not finite, too large or too small.
    """
    name, kind = f"{score}.{key}", type(default)
    shown = str(default).lower() if kind is bool else default
    fix = f"leave it at the default, or give another value: --param {name}={shown}"
    bare = isinstance(value, str) and not text and kind is not str
    found = None if bare else _converted(value, kind)
    if found is None:
        word = {"bool": "truth value (true or false)", "int": "whole number", "float": "number", "str": "text"}
        wanted = word.get(kind.__name__, kind.__name__)
        given = f"{'the text ' if bare else ''}{_shown(value)}"
        raise UsageError(f"{given} is not a {wanted}, which the parameter '{name}' should be", fix=fix)
    if isinstance(found, float) and not math.isfinite(found):
        raise UsageError(f"the parameter '{name}' must be finite, got {found}", fix=fix)
    if isinstance(found, int) and found < LEAST.get(key, found):
        raise UsageError(f"the parameter '{name}' must be at least {LEAST[key]}, got {found}", fix=fix)
    most: float = MOST.get(key, MOST_OTHERWISE) if isinstance(found, int) else MOST_DECIMAL
    if isinstance(found, (int, float)) and abs(found) > most:
        raise UsageError(f"the parameter '{name}' may be at most {most:g}, got {_shown(value)}", fix=fix)
    return found


def _converted(value: Any, kind: type) -> Any:
    """Return the value as a `kind`, or None if it is none."""
    if kind is bool:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if kind is str:
        return value if isinstance(value, str) and len(value) <= MOST_TEXT else None
    if isinstance(value, bool):  # which Python counts among the whole numbers
        return None
    if kind not in (int, float):
        return value if isinstance(value, kind) else None
    fitting = isinstance(value, Integral if kind is int else Real)
    if not fitting and not isinstance(value, str):
        return None
    try:
        return kind(value)
    except OverflowError:  # a whole number beyond all decimals
        return math.inf
    except ValueError:
        return None


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"'{text}'" if len(text) <= 40 else f"'{text[:40]}…'"
