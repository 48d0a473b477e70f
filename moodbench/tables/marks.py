"""Which numbers of a column are the best and the second best, by what people read: two decimals of a percentage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from moodbench.metrics import Better

Mark = Literal["", "best", "second"]


def printed(value: float) -> str:
    """Return a fraction as a cell shows it: percent with two decimals."""
    return f"{100 * value:.2f}"


def signed(value: float) -> str:
    """Return a difference of fractions as a cell shows it: points with their sign, and none where they print as 0."""
    shown = f"{100 * value:+.2f}"
    return shown.lstrip("+-") if float(shown) == 0 else shown


def ranks(values: Sequence[float | str | None], better: Better | None) -> list[Mark]:
    """Return a mark for each value, as in a competition: who shares the first place leaves no second one.

    Values that print alike are equal. Texts and None take no part, and a single number has nothing to be better than.
    """
    shown = [float(printed(value)) if isinstance(value, int | float) else None for value in values]
    ranked = sorted((value for value in shown if value is not None), reverse=better == "higher")
    if better is None or len(ranked) < 2:
        return ["" for _ in values]
    second = None if ranked[1] == ranked[0] else ranked[1]
    marks: dict[float | None, Mark] = {second: "second", ranked[0]: "best", None: ""}
    return [marks.get(value, "") for value in shown]
