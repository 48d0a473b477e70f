"""The places of a leaderboard: which entries are told apart, which repeat others, and from where to where bars go."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moodbench.reporting.sheet import hundredths
from moodbench.sharing.layout import Submission
from moodbench.sharing.signature import row_recipe
from moodbench.tables.marks import printed
from moodbench.types import ALL_GROUPS, MEAN, Result

TOP = 15
"""Entries from whose intervals it follows from where to where bars are drawn."""

View = tuple[str, str]
"""OOD dataset (or `MEAN`) and group."""


@dataclass(frozen=True)
class Cell:
    """The numbers of an entry in one view, as fractions, and its places: it may be any from `first` to `last`."""

    auroc: float
    low: float | None
    high: float | None
    fpr95: float | None
    first: int | None
    last: int | None

    @property
    def rank(self) -> str:
        """The places in words."""
        return "" if self.first is None else str(self.first) if self.first == self.last else f"{self.first}–{self.last}"

    @property
    def interval(self) -> str:
        """The interval in words."""
        return "" if self.low is None or self.high is None else f"{printed(self.low)} to {printed(self.high)}"

    def data(self) -> list[int | str | None]:
        """Return it for the page's program."""
        numbers = (hundredths(one) for one in (self.auroc, self.low, self.high, self.fpr95))
        return [*numbers, self.first, self.rank]


def ranked(cells: Sequence[Cell | None], competing: Sequence[bool]) -> list[Cell | None]:
    """Return the cells of one view with the places that each may have.

    Two entries whose 95 % intervals overlap are not told apart: an entry is behind those alone whose whole interval is
    above its own. One without an interval counts as the number that it is.
    """
    ends = [
        (c.auroc if c.low is None else c.low, c.auroc if c.high is None else c.high) for c in cells if c is not None
    ]
    ours = iter(ends)
    spans = [None if cell is None else next(ours) for cell in cells]
    known = [span for span, competes in zip(spans, competing, strict=True) if span is not None and competes]
    lows, highs = sorted(low for low, _ in known), sorted(high for _, high in known)
    found: list[Cell | None] = []
    for cell, span, competes in zip(cells, spans, competing, strict=True):
        if cell is None or span is None or not competes:
            found.append(cell)
            continue
        first = 1 + len(lows) - bisect_right(lows, span[1])
        last = len(highs) - bisect_left(highs, span[0])
        found.append(Cell(cell.auroc, cell.low, cell.high, cell.fpr95, first, last))
    return found


def scale(cells: Sequence[Cell | None]) -> tuple[float, float]:
    """Return from where to where the bars of a view go: where those of its first entries lie.

    Over all, those of the first could not be told apart; one below has a sign at the end in the place of a bar.
    """
    known = sorted((cell for cell in cells if cell is not None), key=lambda cell: -cell.auroc)[:TOP]
    if not known:
        return 0.0, 1.0
    low = min(cell.auroc if cell.low is None else cell.low for cell in known)
    high = max(cell.auroc if cell.high is None else cell.high for cell in known)
    return (low, high) if high - low > 1e-4 else (max(0.0, low - 1e-3), min(1.0, high + 1e-3))


def repeats(
    group: Sequence[Submission], rows: Sequence[tuple[int, tuple[str, str], Mapping[View, Result]]]
) -> dict[int, str]:
    """Return which entries others repeated by the same recipe, on other hardware: who, and what they got."""
    same: dict[tuple[str, tuple[str, str]], list[tuple[int, str, float]]] = {}
    for place, (number, key, its) in enumerate(rows):
        row = its.get((MEAN, ALL_GROUPS))
        if row is not None and row.auroc is not None:
            recipe = row_recipe(group[number].provenance, row)
            same.setdefault((recipe, key), []).append((place, group[number].submitter, row.auroc))
    found = {}
    for entries in same.values():
        for place, _, _ in entries:
            others = [f"{printed(auroc)} by {who}" for other, who, auroc in entries if other != place]
            if others:
                found[place] = f"the same recipe: {', '.join(others)}"
    return found


def other_images(group: Sequence[Submission]) -> dict[int, list[str]]:
    """Return which submissions have other lists of images than most have of a dataset, and what is said of it."""

    def listed(one: Submission, name: str) -> str | None:
        noted = one.provenance.get("datasets", {}).get(name, {}).get("provenance", {}).get("images")
        return noted.get("fingerprint") if isinstance(noted, dict) else None

    found: dict[int, list[str]] = {}
    for name in sorted({name for one in group for name in tested(one)}):
        known = {number: digest for number, one in enumerate(group) if (digest := listed(one, name)) is not None}
        common = Counter(known.values()).most_common(1)
        for number, digest in known.items():
            if digest != common[0][0]:
                found.setdefault(number, []).append(f"other images of {name} than most entries")
    return found


def tested(one: Submission) -> dict[str, int]:
    """Return the test sets of a submission, and of how many images each."""
    roles = one.provenance["inputs"]["benchmark"]
    names = {*roles.get("id_test", ()), *(name for names in roles["ood"].values() for name in names)}
    datasets = one.provenance.get("datasets", {})
    return {name: datasets[name].get("rows") or 0 for name in sorted(names) if isinstance(datasets.get(name), dict)}
