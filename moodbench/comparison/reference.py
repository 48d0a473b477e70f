"""Numbers to compare ours with, wherever they are from, and the rows of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from moodbench.tables.notebooks import InNotebooks, frame_of
from moodbench.types import ALL_GROUPS, MEAN, Result

if TYPE_CHECKING:
    from pandas import DataFrame

    from moodbench.tables.cells import Table

Kind = Literal["published", "sheet", "folder"]
"""A table that comes with moodbench, somebody's CSV file, or a folder of results."""

METRICS = ("auroc", "fpr95")
"""What is compared."""


@dataclass(frozen=True)
class Given:
    """One number of a reference.

    Attributes
    ----------
    benchmark, model, score, ood, metric : str
        `ood` as `place_of` calls it.
    value : float or None
        A fraction in [0, 1]; None where the score could not be computed there.
    params : str or None
        Parameters of the score; None: nobody says.
    reading : float
        How far off `value` may be because it was read off a picture, as a fraction.
    note : str
    row : Result, optional
        The row that it is from.
    """

    benchmark: str
    model: str
    score: str
    ood: str
    metric: str
    value: float | None
    params: str | None = None
    reading: float = 0.0
    note: str = ""
    row: Result | None = None


@dataclass(frozen=True)
class Reference:
    """Where numbers are from, and the numbers.

    Attributes
    ----------
    name : str
        For sentences: "the published numbers of MOODv2".
    kind : {"published", "sheet", "folder"}
    numbers : tuple of Given
    provenance : mapping
        From (benchmark, model) to the JSON beside the results, of a folder.
    """

    name: str
    kind: Kind
    numbers: tuple[Given, ...]
    provenance: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """One of our numbers beside one of theirs.

    Attributes
    ----------
    benchmark, model, score, ood, metric : str
        `ood` is an OOD dataset, ``mean``, or ``mean (GROUP)``.
    ours, theirs : float or None
        Fractions in [0, 1]; None where there is none.
    difference : float or None
        ``ours - theirs``; times 100 it is in points.
    inside : bool or None
        Whether their number lies in our 95 % interval. None for other metrics than AUROC, and where that cannot be
        said.
    note : str
        Why there is no number, or why the two cannot agree or do not.
    params : str
        Our score's parameters.
    """

    benchmark: str
    model: str
    score: str
    ood: str
    metric: str
    ours: float | None
    theirs: float | None
    difference: float | None
    inside: bool | None
    note: str = ""
    params: str = ""

    @property
    def both(self) -> bool:
        """Whether there are two numbers."""
        return self.difference is not None

    @property
    def points(self) -> float:
        """The difference in points; 0 where there is none."""
        return 0.0 if self.difference is None else 100 * self.difference

    @property
    def differs(self) -> bool:
        """Whether the difference is seen in two decimals of a percentage."""
        return abs(self.points) >= 0.005


@dataclass(frozen=True, repr=False)
class Comparison(InNotebooks, Sequence[Compared]):
    """A reference, and all rows of ours and theirs; it is a sequence of these rows, in a notebook tables.

    Attributes
    ----------
    reference : Reference
    rows : tuple of Compared
    tables : tuple of Table
        What a notebook shows of it.
    """

    reference: Reference
    rows: tuple[Compared, ...]
    tables: tuple[Table, ...] = field(default=(), compare=False)

    @overload
    def __getitem__(self, number: int) -> Compared: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Compared]: ...
    def __getitem__(self, number: int | slice) -> Compared | Sequence[Compared]:
        """Return a row, or some."""
        return self.rows[number]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)

    def readable(self) -> tuple[Table, ...]:
        """Return the tables, the answer in words below the first."""
        return self.tables

    def to_frame(self) -> DataFrame:
        """Return the rows in pandas; numbers are fractions."""
        return frame_of(self.rows)

    @property
    def worst(self) -> Compared | None:
        """The row with the largest difference, the first of several; None where nothing is compared."""
        rows = [row for row in self.rows if row.both]
        return max(rows, key=lambda row: abs(row.points), default=None)


def mean_of(group: str) -> str:
    """Return what the mean over a group is called where OOD datasets stand."""
    return MEAN if group == ALL_GROUPS else f"{MEAN} ({group})"


def place_of(row: Result) -> str:
    """Return the OOD dataset of a row, or the mean that it is."""
    return mean_of(row.group) if row.ood == MEAN else row.ood
