"""What ``moodbench.frame`` does: the results of whole benchmarks → a data frame, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from moodbench.arguments import as_names
from moodbench.results import read_all
from moodbench.tables.selection import chosen_benchmarks, only
from moodbench.types import MEAN, Result
from moodbench.workspace import Workspace, as_workspace

if TYPE_CHECKING:
    from pandas import DataFrame

_TYPES = {"float | None": "float64", "int | None": "Int64", "int": "int64", "bool": "bool"}
"""How pandas keeps numbers, also where all of them are None, or there are no rows: not as objects."""


def frame(
    benchmark: str | Sequence[str] = (),
    *,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    means: bool = False,
    workspace: Workspace | None = None,
) -> DataFrame:
    """Return the tidy results of one benchmark or several in pandas: a row per (model, score, OOD dataset).

    Means over OOD datasets are no rows among these: whoever averages a column would count each dataset once by itself
    and once more in every mean over its group. They come alone, with the same columns.

    Parameters
    ----------
    benchmark : str or sequence of str
        By default every benchmark that has results.
    model, score : str or sequence of str
        Only these; by default all that have results.
    means : bool
        Return the means over groups of OOD datasets instead: a row per (model, score, group), `ood` is ``mean``.

    Returns
    -------
    pandas.DataFrame
        The columns are the fields of `moodbench.Result`; metrics are fractions in [0, 1] (float64), NaN where there is
        none. A score that was run with several parameters has rows for each, which `params` tells apart.

    Raises
    ------
    ResultsError, UnknownNameError, UsageError
        As `moodbench.table`.
    """
    import pandas

    space = as_workspace(workspace)
    found = [(name, read_all(space.results_dir, name)) for name in chosen_benchmarks(space, as_names(benchmark))]
    found = only(found, "model", as_names(model), lambda row: row.model)
    found = only(found, "score", as_names(score), lambda row: row.score)
    rows = [row for _, of_one in found for row in of_one if (row.ood == MEAN) == means]
    columns = {}
    for one in fields(Result):
        values = [getattr(row, one.name) for row in rows]
        columns[one.name] = pandas.Series(values, dtype=_TYPES.get(str(one.type)))
    return pandas.DataFrame(columns)
