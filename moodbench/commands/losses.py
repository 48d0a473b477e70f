"""What wrong labels of ID train cost: the results of ``score --label-noise`` → tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from moodbench.arguments import as_names
from moodbench.errors import UnknownNameError
from moodbench.metrics import METRICS
from moodbench.params import is_noisy
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import PLAIN, plain_within
from moodbench.tables.noise import label_noise, none_noisy
from moodbench.tables.selection import titles_of
from moodbench.types import Result
from moodbench.workspace import Workspace, as_workspace


def losses(
    rows: Iterable[Result],
    *,
    metric: str | Sequence[str] = ("auroc", "fpr95"),
    format: str = "markdown",
    width: int | None = None,
    workspace: Workspace | None = None,
) -> str:
    """Return a table for each benchmark and metric: scores × models, with right labels and what wrong ones change.

    Parameters
    ----------
    rows : iterable of Result
        As `score` returns them, or `read_all`; models and scores without a run with wrong labels are left out.
    metric : str or sequence of str
        Names from `moodbench.metrics.METRICS`; a table of each.
    format, width
        As those of `table`.

    Raises
    ------
    ResultsError
        No score was run with wrong labels.
    UnknownNameError
        There is no such metric.
    """
    space = as_workspace(workspace)
    of: dict[str, list[Result]] = {}
    for row in rows:
        of.setdefault(row.benchmark, []).append(row)
    metrics = as_names(metric)
    for one in metrics:
        if one not in METRICS:
            raise UnknownNameError("metric", one, METRICS)
    noisy = [name for name, some in of.items() if any(is_noisy(row.params) for row in some)]
    if not noisy:
        raise none_noisy()
    tables = [label_noise(of[name], metric=one, titles=titles_of(space, name)) for name in noisy for one in metrics]
    return plain_within(tables, width) if format == PLAIN else FORMATS.get(format)(tables)
