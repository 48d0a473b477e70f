"""How lists are printed: aligned text for people, an array of objects for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a JSON array of objects, each with at least `name`."""
    return json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n"


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return aligned columns headed by the keys of the first row; None and empty values stay blank."""
    from tabulate import tabulate

    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    # as headers, the keys would be padded by two blanks more
    text = tabulate([list(rows[0]), *cells], tablefmt="plain", disable_numparse=True)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
