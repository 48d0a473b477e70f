"""What ``moodbench plot`` does: the results of a benchmark, and what lies beside its caches → a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moodbench.arguments import as_names, as_path
from moodbench.errors import UnknownNameError, UsageError
from moodbench.params import is_noisy
from moodbench.tables.order import Titles
from moodbench.tables.selection import Found, chosen_benchmarks, only, rows_of, titles_of
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import Workspace

if TYPE_CHECKING:
    from moodbench.plots.given import Features, Given, Pair, Split
    from moodbench.tables.order import Model


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
    from moodbench.plots.base import check_suffix, picture

    names, given = _given(kind, benchmark, model, score, ood, group, head, workspace or Workspace(), param)
    file = as_path(out) or Path(f"{'_'.join(names)}_{kind}.png")
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
    from moodbench.plots.base import inline_svg

    _, given = _given(kind, benchmark, model, score, ood, group, head, workspace or Workspace(), param)
    return inline_svg(kind, given, key=key, width=width)


def _given(
    kind: str,
    benchmark: str | Sequence[str] | None,
    model: str | Sequence[str],
    score: str | Sequence[str],
    ood: str | Sequence[str],
    group: str,
    head: str | None,
    space: Workspace,
    param: str | None,
) -> tuple[list[str], Given]:
    """Return the benchmarks and what a plot of this kind is given; names that nothing has are refused."""
    from moodbench.plots.base import PLOTS
    from moodbench.plots.given import Given

    several = PLOTS.get(kind).several
    names = chosen_benchmarks(space, as_names(benchmark or ()))
    if len(names) > 1 and not several:
        if benchmark:
            raise UsageError(f"'plot {kind}' shows one benchmark", fix="name one with --benchmark")
        raise UsageError(f"several benchmarks have results: {', '.join(names)}", fix="name one with --benchmark")
    models, scores, oods = as_names(model), as_names(score), as_names(ood)
    found: Found = [(name, rows_of(space, name, head, noisy=True)) for name in names]
    found = only(found, "model", models, lambda row: row.model)
    found = only(found, "score", scores, lambda row: row.score)
    noisy = [row for _, some in found for row in some if is_noisy(row.params)]
    rows = [row for _, some in found for row in some if not is_noisy(row.params)]
    _check_group(group, rows)
    known = {row.ood for row in rows if group in (ALL_GROUPS, row.group)} - {MEAN}
    for name in oods:
        if name not in known:
            what = "OOD {} with results" + ("" if group == ALL_GROUPS else f" in the group '{group}'")
            raise UnknownNameError(what.format("dataset"), name, known, plural=what.format("datasets"))
    titles = [titles_of(space, name) for name in names]

    def samples(pairs: Sequence[Pair]) -> Mapping[Pair, Sequence[Split]]:
        from moodbench.evaluation.splits import splits_of

        (name,) = names
        return splits_of(space, name, pairs, drawn.datasets)

    def features(model: Model, most: int) -> Features:
        from moodbench.evaluation.embedded import features_of

        return features_of(space, names[0], model.name, drawn.datasets, most)

    def seconds(model: Model) -> Mapping[tuple[str, str], float]:
        from moodbench.evaluation.kept import measured_times

        return measured_times(space, names[0], model.name)

    drawn = Given(
        rows,
        Titles(
            models=titles[0].models,
            scores={name: title for one in titles for name, title in one.scores.items()},
            datasets=titles[0].datasets,
        ),
        group=group,
        models=tuple(models),
        scores=tuple(scores),
        oods=tuple(oods),
        param=param,
        noisy=noisy,
        samples=samples,
        features=features,
        seconds=seconds,
    )
    return names, drawn


def _check_group(group: str, rows: Sequence[Result]) -> None:
    groups = {row.group for row in rows} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
