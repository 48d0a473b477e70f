"""Which numbers and words differ between two sets of result rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from moodbench.types import Result

Value = float | int | str | None

_KEY = ("benchmark", "model", "score", "params", "ood", "group")
_NUMBERS = frozenset(field.name for field in fields(Result) if field.type == "float | None")
_COMPARED = tuple(field.name for field in fields(Result) if field.name not in _KEY)

ROW = "row"
"""Stands for a field where one side has no such row."""


@dataclass(frozen=True)
class Difference:
    """A field of a row that is not the same in two results.

    Attributes
    ----------
    a, b : Result or None
        The rows; None on the side that has none.
    field : str
        A column of results, or `ROW`.
    """

    a: Result | None
    b: Result | None
    field: str

    @property
    def row(self) -> Result:
        """The row of the side that has it."""
        row = self.a or self.b
        assert row is not None
        return row

    def value(self, row: Result | None) -> Value:
        """Return what a side says: a number, or words; of a whole row its AUROC."""
        if row is None:
            return None
        found = getattr(row, "auroc" if self.field == ROW else self.field)
        if isinstance(found, tuple):
            return "; ".join(found)
        return str(found) if isinstance(found, bool) else found

    @property
    def difference(self) -> float | None:
        """``b - a`` of two fractions; None where that is none."""
        a, b = self.value(self.a), self.value(self.b)
        if self.field not in _NUMBERS or not isinstance(a, float | int) or not isinstance(b, float | int):
            return None
        return round(b - a, 12)


def differences(a: Sequence[Result], b: Sequence[Result], tolerance: float = 0.0) -> list[Difference]:
    """Return what differs between two sets of rows, in the order of the first, then of what only the second has.

    Parameters
    ----------
    a, b : sequence of Result
        Of any benchmarks and models.
    tolerance : float
        By which fractions may differ; words and counts may not.
    """
    of_a, of_b = ({_key(row): row for row in rows} for rows in (a, b))
    return list(_differences(of_a, of_b, tolerance))


def _differences(
    a: Mapping[tuple[str, ...], Result], b: Mapping[tuple[str, ...], Result], tolerance: float
) -> Iterator[Difference]:
    for key, row in a.items():
        other = b.get(key)
        if other is None:
            yield Difference(row, None, ROW)
            continue
        for name in _COMPARED:
            one = Difference(row, other, name)
            mine, theirs = getattr(row, name), getattr(other, name)
            if mine == theirs:
                continue
            apart = one.difference
            # a hundredth of a millionth of a point is arithmetic
            if apart is None or abs(apart) > tolerance + 1e-10 * (tolerance > 0):
                yield one
    yield from (Difference(None, row, ROW) for key, row in b.items() if key not in a)


def _key(row: Result) -> tuple[str, ...]:
    return tuple(getattr(row, name) for name in _KEY)
