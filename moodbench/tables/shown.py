"""Tables as what Python users are given: text where text is wanted, a table in a notebook, a frame for pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moodbench.errors import UsageError
from moodbench.tables.cells import Table
from moodbench.tables.notebooks import InNotebooks

if TYPE_CHECKING:
    from pandas import DataFrame


class Tables(InNotebooks, str):
    """The text of tables in the format that was asked for; Jupyter shows them as tables.

    It is a text wherever one is wanted: printed, written to a file, compared.

    Attributes
    ----------
    tables : tuple of Table
        What the text shows: `moodbench.tables.cells.Table`, numbers as fractions.
    """

    tables: tuple[Table, ...]

    def __new__(cls, text: str, tables: Sequence[Table] = ()) -> Tables:
        """Return the text of some tables."""
        made = super().__new__(cls, text)
        made.tables = tuple(tables)
        return made

    def __repr__(self) -> str:
        """Return the text as it is printed: at a prompt too a table is to be read."""
        return str(self).rstrip("\n")

    def readable(self) -> list[Table]:
        """Return the tables as people read them: without what is empty for one reason."""
        return [table.for_people() for table in self.tables]

    def to_frame(self, number: int | None = None) -> DataFrame:
        """Return a table in pandas as it is laid out, numbers as fractions; `moodbench.frame` has every result, tidy.

        Rows are indexed by block and title, columns by all levels of their heading. A cell without a number is missing.

        Parameters
        ----------
        number : int, optional
            Which table, counted from 0; may be omitted where there is only one.

        Raises
        ------
        UsageError
            There are several, and none is named; or there is none of that number.
        """
        import pandas

        titles = "; ".join(f"{i}: {table.title}" for i, table in enumerate(self.tables))
        if number is None and len(self.tables) != 1:
            raise UsageError(f"these are {len(self.tables)} tables, and a frame is of one", fix=f"name it: {titles}")
        if number is not None and not 0 <= number < len(self.tables):
            raise UsageError(f"there is no table number {number}", fix=f"there are {titles}")
        table = self.tables[number or 0]
        index = pandas.MultiIndex.from_tuples([(row.block, row.title) for row in table.rows], names=table.stub)
        return pandas.DataFrame(
            [[cell.value for cell in row.cells] for row in table.rows],
            index=index,
            columns=pandas.MultiIndex.from_tuples([column.heading for column in table.columns]),
        )
