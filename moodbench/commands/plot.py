"""What ``moodbench plot`` does: the results of a benchmark → a picture."""

from __future__ import annotations

from pathlib import Path

from moodbench.arguments import as_path
from moodbench.errors import UsageError
from moodbench.tables.selection import chosen_benchmarks, rows_of, titles_of
from moodbench.types import ALL_GROUPS
from moodbench.workspace import Workspace


def plot(
    kind: str = "grid",
    *,
    benchmark: str | None = None,
    out: str | Path | None = None,
    group: str = ALL_GROUPS,
    head: str | None = None,
    workspace: Workspace | None = None,
) -> Path:
    """Draw a picture of one benchmark's results and return its file.

    Parameters
    ----------
    kind : str
        A name in `moodbench.plots.base.PLOTS`: grid.
    benchmark : str, optional
        May be omitted where only one has results.
    out : Path, optional
        ``.png``, ``.svg`` or ``.pdf``; by default ``<benchmark>_<kind>.png`` here.
    group : str
        The OOD group whose mean is drawn.
    head : str, optional
        As in `table`.
    """
    from moodbench.plots.base import PLOTS

    space = workspace or Workspace()
    draw = PLOTS.get(kind)
    names = chosen_benchmarks(space, [benchmark] if benchmark else [])
    if len(names) > 1:
        raise UsageError(f"several benchmarks have results: {', '.join(names)}", fix="name one with --benchmark")
    file = as_path(out) or Path(f"{names[0]}_{kind}.png")
    draw(rows_of(space, names[0], head), file, group=group, titles=titles_of(space, names[0]))
    return file
