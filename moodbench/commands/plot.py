"""What ``moodbench plot`` does: the results of a benchmark, and what lies beside its caches → a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moodbench.arguments import as_names, as_path
from moodbench.commands.source import Source
from moodbench.errors import UsageError
from moodbench.tables.selection import chosen_benchmarks
from moodbench.types import ALL_GROUPS
from moodbench.workspace import Workspace, as_workspace


def plot(
    kind: str = "grid",
    *,
    benchmark: str | Sequence[str] | None = None,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    ood: str | Sequence[str] = (),
    group: str = ALL_GROUPS,
    head: str | None = None,
    param: str | None = None,
    width: str | float | None = None,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
) -> Path:
    """Draw a picture of results and return its file.

    Parameters
    ----------
    kind : str
        A name in `moodbench.plots.base.PLOTS`.
    benchmark : str or sequence of str
        May be omitted where only one has results. Most kinds take one.
    model, score, ood : str or sequence of str
        Only these; by default all that have results. Kinds that show a few pairs of model and score take the best where
        nothing is named.
    group : str
        The OOD group that is drawn, or whose mean is.
    head : str, optional
        As in `table`.
    param : str, optional
        Of a sweep, where several parameters were swept: ``NAME`` or ``SCORE.NAME``; ``label_noise`` for wrong labels.
    width : str or float, optional
        ``column`` or ``text`` of a paper with two columns, or inches; by default what suits the kind.
    out : Path, optional
        ``.png``, ``.svg`` or ``.pdf``; by default ``<benchmark>_<kind>.png`` here.

    Raises
    ------
    UsageError
        A name is unknown, or something was asked for that this kind does not show, or that does not fit.
    ResultsError
        There are no results, or row scores are missing or stale; or the file cannot be written.
    """
    from moodbench.atomic import write_file
    from moodbench.plots.base import PLOTS, check_suffix, picture

    source, layers = _source(kind, benchmark, head, workspace), PLOTS.get(kind).layers
    given = source.given(model=model, score=score, ood=ood, group=group, param=param, layers=layers)
    file = as_path(out) or Path(f"{'_'.join(source.names)}_{kind}.png")
    check_suffix(file)
    write_file(file, picture(kind, given, file.suffix.lower().removeprefix("."), width))
    return file


def plot_svg(
    kind: str = "grid",
    *,
    key: str,
    benchmark: str | Sequence[str] | None = None,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    ood: str | Sequence[str] = (),
    group: str = ALL_GROUPS,
    head: str | None = None,
    param: str | None = None,
    width: str | float | None = None,
    workspace: Workspace | None = None,
) -> str:
    """Return the same picture as an ``<svg>`` element to stand in a page of HTML with others.

    `key` (letters, digits and ``-``) is its id and begins every id in it; of two pictures on a page it must differ.
    """
    from moodbench.plots.base import PLOTS, inline_svg

    source, layers = _source(kind, benchmark, head, workspace), PLOTS.get(kind).layers
    given = source.given(model=model, score=score, ood=ood, group=group, param=param, layers=layers)
    return inline_svg(kind, given, key=key, width=width)


def _source(kind: str, benchmark: str | Sequence[str] | None, head: str | None, workspace: Workspace | None) -> Source:
    """Return the results of the benchmarks that a plot of this kind shows."""
    from moodbench.plots.base import PLOTS

    space = as_workspace(workspace)
    several = PLOTS.get(kind).several
    names = chosen_benchmarks(space, as_names(benchmark or ()))
    if len(names) > 1 and not several:
        if benchmark:
            raise UsageError(f"'plot {kind}' shows one benchmark", fix="name one with --benchmark")
        raise UsageError(f"several benchmarks have results: {', '.join(names)}", fix="name one with --benchmark")
    return Source(space, names, head)
