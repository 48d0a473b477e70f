"""Which images of a dataset count, by what the columns of its list say of them: age, season, brightness."""

from __future__ import annotations

from dataclasses import dataclass

from moodbench.catalog.entry import Entry, shown

BOUNDS = ("from", "below")


@dataclass(frozen=True)
class Attribute:
    """What a column must say: one of `values`, or without values a number, at least `least` and smaller than `below`.

    Attributes
    ----------
    column : str
    values : tuple of str
    least, below : float or None
        None: no bound.
    """

    column: str
    values: tuple[str, ...] = ()
    least: float | None = None
    below: float | None = None

    def holds(self, text: str) -> bool:
        """Say whether the text of a cell fits.

        Raises
        ------
        ValueError
            It should be a number and is none.
        """
        if self.values:
            return text.strip() in self.values
        value = float(text)
        if value != value:
            raise ValueError(text)
        return (self.least is None or value >= self.least) and (self.below is None or value < self.below)

    def __str__(self) -> str:
        """Say in words what must hold."""
        if self.values:
            return f"{self.column} = {' or '.join(self.values)}"
        bounds = [f"from {self.least:g}"] if self.least is not None else []
        return f"{self.column} {' '.join([*bounds, *([f'below {self.below:g}'] if self.below is not None else [])])}"


def take_attributes(entry: Entry) -> tuple[Attribute, ...]:
    """Return what ``where: {season: winter, age: {from: 60, below: 80}}`` asks for; all of it must hold."""
    there = entry.has("where")
    wanted = entry.take("where", dict, {})
    if there and not wanted:
        raise entry.error(
            "has an empty 'where'", fix="leave it out to take every line, or write  where: {season: winter}"
        )
    return tuple(_attribute(entry, str(column), value) for column, value in wanted.items())


def _attribute(entry: Entry, column: str, value: object) -> Attribute:
    if isinstance(value, dict):
        bounds = [value.get(name) for name in BOUNDS]
        good = all(one is None or (isinstance(one, (int, float)) and not isinstance(one, bool)) for one in bounds)
        if not good or not value or not set(value) <= set(BOUNDS):
            fix = f"write  where: {{{column}: {{from: 60, below: 80}}}}; either may be left out"
            raise entry.error(f"has where: {column}: {shown(value)}, which are no bounds", fix=fix)
        least, below = (None if one is None else float(one) for one in bounds)
        if least is not None and below is not None and least >= below:
            fix = (
                f"'from' counts, 'below' does not, and is the larger one:  where: {{{column}: {{from: 60, below: 80}}}}"
            )
            raise entry.error(f"has where: {column}: {shown(value)}, which no number fulfils", fix=fix)
        return Attribute(column, (), least, below)
    values = value if isinstance(value, list) else [value]
    fine = [one for one in values if isinstance(one, (str, int, float)) and not isinstance(one, bool) and one != ""]
    if not values or len(fine) < len(values):
        quoted = any(isinstance(one, bool) for one in values)
        fix = f'quote it:  where: {{{column}: "yes"}}' if quoted else f"write  where: {{{column}: [spring, summer]}}"
        raise entry.error(f"has where: {column}: {shown(value)}, which is no value and no list of values", fix=fix)
    return Attribute(column, tuple(str(one) for one in values))
