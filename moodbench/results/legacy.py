"""Rows from before there were the columns that later schemas added, brought to today's form.

Before `control` and `remarks` (schemas 1 and 2) their facts stood in prose. Before `seeds` (schemas 1 to 3) most scores
with a random part had one fixed seed, which is today's seed 0. The only place that takes a note apart, and nothing
that is written today needs it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from moodbench.types import Result

LATER = ("control", "remarks", "seeds")
"""Columns that older rows lack, besides metrics."""

_FIXED_SEED = ("corp", "iforest", "kmeans", "lof", "nac_last", "ocsvm", "temp_scaling", "vra")
"""Scores whose seed was no parameter."""

_SEED = re.compile(r"(?:^|;)seed=\d+(?:;|$)")

_CONTROLS = ("random", "constant")

_REMARK = (
    r"(?:trial: |memory bank of |\d+ undecodable images left out|\d+ ID test rows without a label |"
    r"another order of the classes |each class in turn is ID|the head's \d+ classes are not |"
    r"\d+ of the head's \d+ classes |labels of ID train go from |logits restricted to |the logits are not )"
)
_BEFORE_REMARK = re.compile(rf"; (?={_REMARK})")
"""Where the note of a score ended. A score may have written ``; `` itself, so that alone takes nothing apart."""


def brought_up(row: Result, columns: Collection[str]) -> Result:
    """Return a row of a file with these columns as one that is written today."""
    row = row if {"control", "remarks"} <= set(columns) else _told_apart(row)
    return row if "seeds" in columns else _seeded(row)


def _seeded(row: Result) -> Result:
    """Return a row with its seed among its parameters, and with it said that this was the only one."""
    params = ";".join(filter(None, [row.params, "seed=0" if row.score in _FIXED_SEED else ""]))
    return replace(row, params=params, seeds=1 if _SEED.search(params) else None)


def _told_apart(row: Result) -> Result:
    """Return a row with the remarks that ended its note as remarks, and with it said whether it is of a control."""
    parts = [part for part in _BEFORE_REMARK.split(row.note) if part]
    own = "" if not parts or re.match(_REMARK, parts[0]) else parts.pop(0)
    return replace(row, control=row.score in _CONTROLS, note=own, remarks=tuple(parts))
