"""What the page says of one benchmark, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moodbench.reporting.extremes import Gallery
from moodbench.reporting.origin import Origin
from moodbench.reporting.sheet import Sheet, View, hundredths, level
from moodbench.sizes import in_percent
from moodbench.tables.grid import Cell, Table
from moodbench.tables.marks import printed, signed
from moodbench.types import MEAN, Family


@dataclass(frozen=True)
class Gap:
    """Something that the page lacks: what, and what to run for it."""

    what: str
    fix: str = ""


@dataclass(frozen=True)
class Plot:
    """A picture: SVG as `Pictures.inline` returns it, what it shows, and how it is laid out.

    `wide` takes the whole line, and has `narrow`, the same for phones, unless it has more to show than fits; `paper`
    keeps a white ground also on dark screens, for pictures in which colours are numbers. `height` is in pixels.
    """

    kind: str
    caption: str
    svg: str
    wide: bool = False
    paper: bool = False
    narrow: str = ""
    height: float = 0.0


@dataclass(frozen=True)
class Shown:
    """A cell of the grid as it stands there before anybody clicks."""

    text: str
    classes: str
    tip: str


@dataclass(frozen=True)
class Line:
    """A row of the grid."""

    family: Family
    title: str
    cells: tuple[Shown, ...]


@dataclass(frozen=True)
class Place:
    """A pair in the ranking; numbers are fractions, `bar` where low, mean and high lie, in percent of its room."""

    title: str
    mean: float
    interval: str
    bar: tuple[float, float, float]
    difference: float
    apart: str
    between: str
    p: float
    chance: str
    near: bool
    late: bool


@dataclass(frozen=True)
class BestHere:
    """One of the best pairs on one OOD dataset."""

    title: str
    auroc: float
    low: float | None
    high: float | None
    fpr95: float | None


@dataclass(frozen=True)
class DataSet:
    """A dataset: its best pairs where it is OOD, its most deceptive images, and what is said of them.

    `picture` is SVG as `Pictures.inline` returns it, or empty.
    """

    title: str
    role: str
    about: str
    best: tuple[BestHere, ...]
    gallery: Gallery | None
    what: str
    beats: str
    missing: Gap | None
    picture: str = ""


@dataclass(frozen=True)
class Chapter:
    """The page of one benchmark; of what cannot be shown, why, and what to run for it.

    `plots` are as wide as the page, `halves` stand below them in two columns.
    """

    name: str
    title: str
    answer: str
    answer_rest: str
    sheet: Sheet
    rows: tuple[Line, ...]
    footnotes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    over: str = ""
    standings: tuple[Place, ...] = ()
    scale: tuple[str, str] = ("", "")
    unranked: Gap | None = None
    plots: Sequence[Plot] = ()
    halves: tuple[Sequence[Plot], Sequence[Plot]] = ((), ())
    undrawn: Sequence[Gap] = ()
    sets: Sequence[DataSet] = ()
    about_sets: str = ""
    origins: Sequence[Origin] = ()
    without_images: Gap | None = None
    metric_labels: Sequence[str] = field(default=())
    families: Sequence[Family] = field(default=())
    late: bool = False


Named = Mapping[tuple[str, str, str], str]
"""(model, score, params) → what people call the pair."""

FIRST = 15
"""Pairs of the ranking that are shown at once."""


def lines_of(table: Table) -> tuple[Line, ...]:
    """Return the rows of the grid of AUROC alone, tinted by their numbers."""
    numbers = [cell.value for row in table.rows for cell in row.cells if isinstance(cell.value, float)]
    ends = [hundredths(end) or 0 for end in (min(numbers), max(numbers))] if numbers else [0, 0]
    return tuple(
        Line(row.family or "probability", row.title, tuple(_shown(cell, ends[0], ends[1]) for cell in row.cells))
        for row in table.rows
    )


def _shown(cell: Cell, lowest: int, highest: int) -> Shown:
    if not isinstance(cell.value, float):
        return Shown("—", "none", cell.note)
    tint = f"q{level(hundredths(cell.value) or 0, lowest, highest)}"
    span = "" if cell.low is None or cell.high is None else f"{printed(cell.low)} to {printed(cell.high)}"
    return Shown(printed(cell.value), f"{tint} {cell.mark}".strip(), span)


def places_of(pairs: Sequence[Any], titles: Named) -> tuple[tuple[Place, ...], tuple[str, str]]:
    """Return the ranking for the page, and from where to where its intervals are drawn.

    Parameters
    ----------
    pairs : sequence of Standing
        As `moodbench.rank` returns them, best first.
    titles : mapping
        (model, score, params) → what people call the pair.
    """

    def ends(one: Any) -> tuple[float, float]:
        return float(one.mean if one.low is None else one.low), float(one.mean if one.high is None else one.high)

    lowest = min(ends(one)[0] for one in pairs[:FIRST])
    highest = max(ends(one)[1] for one in pairs[:FIRST])
    room = max(highest - lowest, 1e-4)

    def at(value: float) -> float:
        share = min(max((value - lowest) / room, 0.0), 1.0)
        return round(in_percent(share), 2)

    places = tuple(
        Place(
            titles.get((one.model, one.score, one.params), f"{one.score} on {one.model}"),
            one.mean,
            "" if one.low is None or one.high is None else f"{printed(one.low)} to {printed(one.high)}",
            (at(ends(one)[0]), at(one.mean), at(ends(one)[1])),
            one.difference,
            "best" if number == 0 else minus(signed(one.difference)),
            ""
            if number == 0
            else f"95 % interval {minus(signed(one.difference_low))} to {minus(signed(one.difference_high))}",
            one.p_adjusted,
            "" if number == 0 else "< 0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}",
            one.not_worse,
            number >= FIRST and not one.not_worse,
        )
        for number, one in enumerate(pairs)
    )
    return places, (printed(lowest), printed(highest))


def minus(text: str) -> str:
    """Return a signed number with the minus sign of print."""
    return text.replace("-", "−")


def split_answer(answer: str) -> tuple[str, str]:
    """Return what is best, and the rest of the answer as a sentence of its own."""
    best, semicolon, rest = answer.partition("; ")
    return best, (rest[:1].upper() + rest[1:] + ("." if rest[-1:] not in ("", ".") else "")) if semicolon else ""


def is_mean(view: View) -> bool:
    """Say whether a view is a mean over several OOD datasets."""
    return view.ood == MEAN
