"""Which numbers of a column are the best and the second best, by what people read: two decimals of a percentage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from moodbench.metrics import Better
from moodbench.sizes import in_percent

Mark = Literal["", "best", "second"]

DECIMALS = 2
"""Of a percentage, as the paper shows them."""

ROUNDING = 1e-9
"""A spread of fractions below this comes of rounding: one image in a billion would change a rate by as much."""


def printed(value: float, decimals: int = DECIMALS) -> str:
    """Return a fraction as a cell shows it: percent with two decimals."""
    return f"{in_percent(value):.{decimals}f}"


def signed(value: float) -> str:
    """Return a difference of fractions as a cell shows it: points with their sign, and none where they print as 0."""
    shown = f"{in_percent(value):+.2f}"
    return shown.lstrip("+-") if float(shown) == 0 else shown


def width_of(value: float, decimals: int = DECIMALS) -> str:
    """Return how far fractions spread as it follows ±, in points: 0.40; 0 where they do not, <0.01 where nearly so.

    0.00 could mean either, and reads as the first. A spread that rounding made out of equal numbers is none.
    """
    shown = printed(value, decimals)
    if abs(value) < ROUNDING:
        return "0"
    return f"<{10**-decimals:.{decimals}f}" if float(shown) == 0 else shown


def ranks(values: Sequence[float | str | None], better: Better | None, decimals: int = DECIMALS) -> list[Mark]:
    """Return a mark for each value, as in a competition: who shares the first place leaves no second one.

    Values that print alike are equal. Texts and None take no part, and a single number has nothing to be better than.
    """
    shown = [float(printed(value, decimals)) if isinstance(value, int | float) else None for value in values]
    ranked = sorted((value for value in shown if value is not None), reverse=better == "higher")
    if better is None or len(ranked) < 2:
        return ["" for _ in values]
    second = None if ranked[1] == ranked[0] else ranked[1]
    marks: dict[float | None, Mark] = {second: "second", ranked[0]: "best", None: ""}
    return [marks.get(value, "") for value in shown]
