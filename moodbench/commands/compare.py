"""What ``moodbench compare`` does: our results beside published ones, a CSV file, or another folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from moodbench.arguments import as_names
from moodbench.comparison.folder import provenance_in, results_in
from moodbench.comparison.match import Ours, base_of, beside
from moodbench.comparison.published import PUBLISHED
from moodbench.comparison.reference import METRICS, Comparison, Given, Reference
from moodbench.comparison.sheet import read_sheet
from moodbench.comparison.spelling import Shown, in_our_words
from moodbench.comparison.text import tables_with_words
from moodbench.comparison.words import place
from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.evaluation.stale import marked_stale
from moodbench.params import is_noisy
from moodbench.results import benchmarks_with_results, read_all
from moodbench.tables.order import Titles
from moodbench.tables.selection import titles_of
from moodbench.types import Result
from moodbench.workspace import Workspace, as_workspace


def compare(
    reference: str | Path,
    *,
    benchmark: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    metric: str | Sequence[str] = METRICS,
    workspace: Workspace | None = None,
) -> Comparison:
    """Return our results beside others, a row for each number; fractions throughout.

    Parameters
    ----------
    reference : str or Path
        ``moodv2``, the published numbers; a CSV file; or a folder of results.
    benchmark, model, score : str or sequence of str
        Only these; by default all. Of published numbers a model's name stands for all its variants.
    metric : str or sequence of str
        ``auroc``, ``fpr95`` or both.
    workspace : Workspace, optional

    Returns
    -------
    Comparison
        A sequence of `Compared`, in the order of the reference. Where either side has no number, `difference` is None
        and `note` says why.

    Raises
    ------
    UnknownNameError
        There is no such reference, or neither side has a benchmark, model or score of that name.
    ResultsError
        The reference or our results cannot be read, or nothing in a file or folder has one of ours beside it.
    """
    space = as_workspace(workspace)
    metrics = as_names(metric)
    for name in metrics:
        if name not in METRICS:
            raise UnknownNameError("metric to compare", name, METRICS, plural="metrics to compare")
    theirs = _reference(reference)
    rows = [
        row
        for name in benchmarks_with_results(space.results_dir)
        for row in marked_stale(space, name, read_all(space.results_dir, name))
    ]
    if theirs.kind != "folder":
        rows = [row for row in rows if not is_noisy(row.params)]
    ours = Ours(rows, provenance_in(space.results_dir), space.catalog)
    if theirs.kind == "sheet":
        titles = titles_for(space)
        shown = Shown(
            {name: spec.title for name, spec in space.catalog.benchmarks.items()},
            {row.model: titles.model(row.model) for row in rows},
            titles.scores,
            titles.datasets,
        )
        theirs = in_our_words(theirs, ours, shown)
    theirs = replace(theirs, numbers=tuple(given for given in theirs.numbers if given.metric in metrics))
    theirs, ours = _chosen(theirs, ours, as_names(benchmark), as_names(model), as_names(score))
    made = Comparison(theirs, beside(theirs, ours))
    if made.worst is None and theirs.kind != "published":
        raise _nothing_met(made, ours, space)
    return replace(made, tables=tables_with_words(made, titles_for(space)))


def titles_for(space: Workspace) -> Titles:
    """Return display names of all that has results."""
    found = [titles_of(space, name) for name in benchmarks_with_results(space.results_dir)]
    scores = {name: title for one in found for name, title in one.scores.items()}
    models = {name: spec.title for name, spec in space.catalog.models.items()}
    return Titles(models, scores, {name: spec.title for name, spec in space.catalog.datasets.items()})


def check_limit(points: float) -> None:
    """Raise a `UsageError` unless this can be the largest difference that is allowed, in points."""
    if not 0 <= points <= 100:
        raise UsageError(f"--fail-over cannot be {points:g}", fix="give points of a percentage, from 0 to 100")


def refuse_beyond(made: Comparison, points: float) -> None:
    """Raise a `ResultsError` if a difference is larger than `points`, or if nothing is compared."""
    worst = made.worst
    if worst is None:
        raise ResultsError(
            f"nothing was compared with {made.reference.name}, so no difference is known to be below {points:g} points",
            fix="score the models that the reference has, or leave out --fail-over",
        )
    # a hundredth of a millionth of a point is arithmetic
    beyond = [row for row in made.rows if row.both and abs(row.points) > points + 1e-8]
    if beyond:
        raise ResultsError(
            f"{len(beyond)} of {sum(row.both for row in made.rows)} differences exceed {points:g} points; the largest "
            f"is {worst.points:+.2f} ({place(worst)})"
        )


def _reference(named: str | Path) -> Reference:
    if isinstance(named, str) and named in PUBLISHED:
        return PUBLISHED[named]()
    path = Path(named)
    if path.is_dir():
        return results_in(path)
    if not path.exists() and not path.is_symlink() and path.suffix == "" and path.parent == Path():
        fix = "name a CSV file or a folder of results that is there, or a published table"
        raise UnknownNameError("reference", str(named), PUBLISHED, fix=fix)
    return read_sheet(path)


def _chosen(
    theirs: Reference, ours: Ours, benchmarks: Sequence[str], models: Sequence[str], scores: Sequence[str]
) -> tuple[Reference, Ours]:
    """Return both with what is named alone."""
    published = theirs.kind == "published"

    def model_is(name: str, of_theirs: bool) -> bool:
        if not models or name in models:
            return True
        if not published:
            return False
        return name in map(base_of, models) if of_theirs else base_of(name) in models

    for kind, names, known in (
        ("benchmark", benchmarks, {*_every(theirs, ours, lambda one: one.benchmark)}),
        ("model", models, {*_every(theirs, ours, lambda one: one.model)}),
        ("score", scores, {*_every(theirs, ours, lambda one: one.score)}),
    ):
        for name in names:
            of_variants = published and kind == "model" and base_of(name) in known
            if name not in known and not of_variants:
                raise UnknownNameError(f"{kind} to compare", name, known, plural=f"{kind}s to compare")
    numbers = tuple(
        given
        for given in theirs.numbers
        if (not benchmarks or given.benchmark in benchmarks)
        and (not scores or given.score in scores)
        and model_is(given.model, True)
    )
    rows = [
        row
        for row in ours.rows
        if (not benchmarks or row.benchmark in benchmarks)
        and (not scores or row.score in scores)
        and model_is(row.model, False)
    ]
    return replace(theirs, numbers=numbers), replace(ours, rows=rows)


def _every(theirs: Reference, ours: Ours, of: Callable[[Given | Result], str]) -> Iterable[str]:
    yield from map(of, theirs.numbers)
    yield from map(of, ours.rows)


def _nothing_met(made: Comparison, ours: Ours, space: Workspace) -> ResultsError:
    """Return the message where nothing of a file or folder has one of ours beside it."""
    if not ours.rows:
        return ResultsError(
            f"there are no results of ours to put beside {made.reference.name}",
            file=space.results_dir,
            fix="run moodbench score first, or name the folder of ours with --results-dir",
        )
    why = next((row.note for row in made.rows if row.theirs is not None), "it has no number")
    names = {
        "benchmarks": sorted({row.benchmark for row in ours.rows}),
        "models": sorted({row.model for row in ours.rows}),
        "scores": sorted({row.score for row in ours.rows}),
    }
    there = "\n".join(f"our {kind}: {', '.join(of[:12])}{' …' if len(of) > 12 else ''}" for kind, of in names.items())
    return ResultsError(
        f"none of {made.reference.name} has one of ours beside it: {why}", fix=f"use our names\n{there}"
    )
