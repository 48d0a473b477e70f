"""What a table is made of: cells, columns, rows, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from moodbench.metrics import Better
from moodbench.sizes import many
from moodbench.tables.footnotes import EMPTY
from moodbench.tables.marks import DECIMALS, Mark
from moodbench.types import Family


@dataclass(frozen=True)
class Cell:
    """One number as a fraction (or a text), None where there is none; `low` and `high` are its 95 % limits.

    `note` says why there is no number, or what is unusual about it. A mean over several `seeds` has a `spread`, the
    sample standard deviation over them. What is `signed` is a difference, and shows its sign. `not_worse` says whether
    it could be as good as the best of its column; None where that was not tested.
    """

    value: float | str | None = None
    mark: Mark = ""
    low: float | None = None
    high: float | None = None
    note: str = ""
    spread: float | None = None
    seeds: int | None = None
    signed: bool = False
    not_worse: bool | None = None


@dataclass(frozen=True)
class Column:
    """A column of cells.

    Attributes
    ----------
    heading : tuple of str
        From the widest level to the narrowest (pretext task, model, metric); equal neighbours are meant to be merged.
        All columns of a table have the same number of levels.
    keys : mapping
        The same for machines: ``model``, ``ood``, ``metric``, …
    better : {"higher", "lower"} or None
        What counts as best; None marks nothing.
    kind : {"percent", "text"}
        A share, or words.
    """

    heading: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    better: Better | None = None
    kind: Literal["percent", "text"] = "percent"


@dataclass(frozen=True)
class Row:
    """A row: the block it belongs to (a family or a model), its title, and its cells, one for each column.

    That of a control has no best number.
    """

    block: str
    title: str
    cells: tuple[Cell, ...]
    family: Family | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    control: bool = False


Rivals = Literal["column", "row", "block"]


@dataclass(frozen=True)
class Look:
    """How the numbers of a table are written: decimals of a percentage, and whether their intervals follow them."""

    decimals: int = DECIMALS
    intervals: bool = False


LOOK = Look()


@dataclass(frozen=True)
class Table:
    """A table; `stub` heads the two columns that name the rows (block and title).

    Attributes
    ----------
    absent : mapping
        Why the columns or rows of models are empty that lack a result on an OOD dataset: model → words.
    label : str
        A name to refer to it by, in LaTeX and HTML; by default what the title says.
    rivals : {"column", "row", "block"}
        Which numbers the best is marked of: those of a column; of a row with the same metric; or those of a column that
        are in one block.
    blocks : bool
        Rows stand in blocks. Where they are sorted, they do not, and each says to which block it belongs.
    """

    title: str
    stub: tuple[str, str]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    rivals: Rivals = "column"
    blocks: bool = True
    look: Look = LOOK

    def for_people(self) -> Table:
        """Return it without what is empty for one reason, which the footnotes say, or as one line."""
        kept = [i for i, column in enumerate(self.columns) if column.keys.get("model") not in self.absent]
        rows = [row for row in self.rows if row.keys.get("model") not in self.absent]
        if not kept or not rows:
            why = next(iter(self.absent.values()))
            several = {row.keys.get("score") for row in self.rows} | {c.keys.get("score") for c in self.columns}
            line = Row(EMPTY, f"all {many(len(several - {None}), 'score')}", (Cell(why),))
            return replace(
                self, columns=(Column(("why there is no number",), kind="text"),), rows=(line,), footnotes=()
            )
        if len(kept) < len(self.columns):
            rows = [replace(row, cells=tuple(row.cells[i] for i in kept)) for row in rows]
        return replace(self, columns=tuple(self.columns[i] for i in kept), rows=tuple(rows))


def with_columns(table: Table, numbers: list[int]) -> Table:
    """Return a table with these of its columns alone, in this order."""
    rows = tuple(replace(row, cells=tuple(row.cells[i] for i in numbers)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in numbers), rows=rows)
