"""What stands behind ``--param`` and ``--label-noise``: one value, or several with commas between."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from moodbench.errors import UsageError

_COMMA = re.compile(r"(?<!\\),")


def parse_params(items: Iterable[str]) -> dict[str, dict[str, Any]]:
    r"""Return score → parameter → its value as text, or the list of its values where several are given.

    Commas part values; one that belongs to a text is written ``\,``. What type a value has, its parameter says later.

    Raises
    ------
    UsageError
        An item is no ``SCORE.NAME=VALUE``, a value is missing, or a parameter is given twice.
    """
    params: dict[str, dict[str, Any]] = {}
    for item in items:
        path, equals, text = item.partition("=")
        name, dot, key = path.partition(".")
        if not (equals and dot and name and key and text):
            raise UsageError(f"'{item}' is not a parameter", fix="write SCORE.NAME=VALUE, as in vim.dim=256")
        values = [value.replace(r"\,", ",") for value in _COMMA.split(text)]
        if not all(value.strip() for value in values):
            raise UsageError(
                f"'{item}' has a comma without a value beside it",
                fix=rf"write {path}=VALUE,VALUE to run several; a comma within a text is written \,",
            )
        if key in params.setdefault(name, {}):
            raise UsageError(f"the parameter '{path}' is given twice", fix=f"write {path}=VALUE,VALUE to run several")
        params[name][key] = values[0] if len(values) == 1 else values
    return params


def parse_shares(text: str | None) -> tuple[float, ...]:
    """Return the shares of ``--label-noise``; none without it.

    Raises
    ------
    UsageError
        One is no number.
    """
    shares = []
    for part in [] if text is None else text.split(","):
        try:
            shares.append(float(part))
        except ValueError:
            raise UsageError(
                f"--label-noise takes shares, and was given '{text}'", fix="write --label-noise 0.1, or 0.1,0.2"
            ) from None
    return tuple(shares)
