"""Rows from before there were the columns `control` and `remarks` (schemas 1 and 2): their facts, taken out of prose.

The only place that takes a note apart, and nothing that is written today needs it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from moodbench.types import Result

LATER = ("control", "remarks")
"""The columns that these rows lack."""

_CONTROLS = ("random", "constant")

_REMARK = (
    r"(?:trial: |memory bank of |\d+ undecodable images left out|\d+ ID test rows without a label |"
    r"another order of the classes |each class in turn is ID|the head's \d+ classes are not |"
    r"\d+ of the head's \d+ classes |labels of ID train go from |logits restricted to |the logits are not )"
)
_BEFORE_REMARK = re.compile(rf"; (?={_REMARK})")
"""Where the note of a score ended. A score may have written ``; `` itself, so that alone takes nothing apart."""


def told_apart(row: Result) -> Result:
    """Return a row with the remarks that ended its note as remarks, and with it said whether it is of a control."""
    parts = [part for part in _BEFORE_REMARK.split(row.note) if part]
    own = "" if not parts or re.match(_REMARK, parts[0]) else parts.pop(0)
    return replace(row, control=row.score in _CONTROLS, note=own, remarks=tuple(parts))
