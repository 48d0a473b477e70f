"""What the rows and the columns of tables are: by the name of a layout, or one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moodbench.choices import Axis, Layout, check_choice
from moodbench.errors import UsageError

LAYOUTS: Mapping[Layout, Sequence[tuple[Axis, Axis]]] = {
    "grid": [("score", "model")],
    "datasets": [("score", "dataset")],
    "all": [("score", "model"), ("score", "dataset")],
    "paper": [],
    "classes": [],
    "depth": [],
}
"""What the rows and the columns are of the tables of a layout; that of the paper and those after it have their own."""


def laid_out(
    layout: Layout | None, rows: Axis | None, cols: Axis | None, default: Layout
) -> Sequence[tuple[Axis, Axis]]:
    """Return rows and columns of each table.

    Raises
    ------
    UsageError
        Something is no layout, row or column, or they contradict each other.
    """
    if layout is not None:
        check_choice("layout", layout, Layout)
    for name, axis in (("rows", rows), ("cols", cols)):
        if axis is not None:
            check_choice(name, axis, Axis)
    if rows is None and cols is None:
        return LAYOUTS[layout or default]
    if rows == cols:
        raise UsageError(f"'{rows}' cannot be the rows and the columns", fix="name two of score, model and dataset")
    if layout in ("all", "paper", "classes", "depth"):
        what = (
            "has rows and columns of its own"
            if layout in ("classes", "depth")
            else "is two tables, and rows and cols are of one"
        )
        raise UsageError(f"the layout '{layout}' {what}", fix="leave it out")
    mine = LAYOUTS[layout][0] if layout is not None else None
    for axis in (rows, cols):
        if mine is not None and axis is not None and axis not in mine:
            fix = "leave out the layout: rows and cols say it all"
            raise UsageError(f"the layout '{layout}' has {mine[0]}s and {mine[1]}s, and no {axis}s", fix=fix)
    down = rows or _other(cols, mine)
    return [(down, cols or _other(down, mine))]


def _other(axis: Axis | None, pair: tuple[Axis, Axis] | None) -> Axis:
    """Return what goes with an axis: the other one of a layout; scores with all else, and with scores models."""
    if pair is not None:
        return pair[1] if axis == pair[0] else pair[0]
    return "model" if axis == "score" else "score"
