"""What ``moodbench report`` does: everything that is known of the results of benchmarks → one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_names, as_path
from moodbench.atomic import write_file
from moodbench.commands.rank import rank
from moodbench.errors import MoodbenchError, ResultsError, UsageError
from moodbench.metrics import METRICS
from moodbench.results import read_provenance
from moodbench.sizes import percent
from moodbench.tables.grid import grid
from moodbench.tables.marks import printed
from moodbench.tables.order import Titles
from moodbench.tables.selection import chosen_benchmarks, rows_of, titles_of
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.report.chapter import Chapter, DataSet, Gap, Place, Plot
    from moodbench.report.extremes import Gallery
    from moodbench.report.sheet import Sheet
    from moodbench.report.svg import Pictures

BEST = 5
"""Pairs that are named for each OOD dataset."""

Named = Mapping[tuple[str, str, str], str]
"""(model, score, params) → what people call the pair."""


def report(
    *,
    benchmark: str | Sequence[str] = (),
    out: str | Path = "report.html",
    images: int = 12,
    workspace: Workspace | None = None,
) -> Path:
    """Write one HTML page that holds everything, and return its file.

    What is missing (row scores, images that are not on this disk) leaves a note on the page that says what to run.

    Parameters
    ----------
    benchmark : str or sequence of str
        By default every benchmark that has results, a chapter for each.
    out : Path
        ``.html``. Equal results and images give equal bytes.
    images : int
        Of each dataset, the most ID-like or OOD-like; 0: none.

    Raises
    ------
    ResultsError
        There are no results, or they cannot be read, or the file cannot be written.
    UnknownNameError, UsageError
        A benchmark is unknown, the file has another suffix, or there cannot be so many images.
    """
    space = workspace or Workspace()
    file = as_path(out)
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a report cannot be written as '{file.name}'", fix="end the file name in .html")
    if not 0 <= images <= 1000:
        raise UsageError(f"{images} images of a dataset cannot be shown", fix="choose a number from 0 to 1000")
    names = chosen_benchmarks(space, as_names(benchmark))
    from moodbench.report.page import page
    from moodbench.report.svg import Pictures

    pictures = Pictures()
    chapters = [_chapter(space, name, images, pictures) for name in dict.fromkeys(names)]
    write_file(file, page(chapters, pictures))
    return file


def _chapter(space: Workspace, name: str, images: int, pictures: Pictures) -> Chapter:
    from moodbench.report.chapter import Chapter, lines_of, split_answer
    from moodbench.report.origin import origin_of
    from moodbench.report.sheet import Sheet

    rows = rows_of(space, name, None)
    titles = titles_of(space, name)
    sheet = Sheet.of(rows, titles)
    named = {(m.name, s.score, s.params): f"{s.title} on {m.title}" for m in sheet.models for s in sheet.series}
    shown = grid(rows, metric=["auroc"], titles=titles)
    provenance = {m.name: read_provenance(space.results_file(name, ModelName.parse(m.name))) for m in sheet.models}
    spec = space.catalog.benchmarks.get(name)
    best, answer, places, scale, gaps = _best(space, name, rows, named)
    whole = Chapter(
        name,
        name if spec is None or not spec.title else spec.title,
        *split_answer(answer),
        sheet,
        lines_of(shown),
        shown.footnotes,
        list(_facts(rows, sheet, best, titles)),
        metric_labels=_labels(sheet),
        families=list(dict.fromkeys(s.family for s in sheet.series)),
        origins=[origin_of(m.name, m.title, provenance[m.name]) for m in sheet.models],
    )
    galleries, lacking = _galleries(space, name, best, provenance, images)
    plots, undrawn = _plots(space, name, pictures)
    return replace(
        whole,
        standings=places,
        scale=scale,
        late=any(one.late for one in places),
        plots=plots,
        undrawn=undrawn,
        sets=list(_sets(rows, sheet, titles, named, galleries)),
        about_sets=_about_sets(best, named, galleries),
        gaps=list(dict.fromkeys([*gaps, *lacking])),
    )


def _best(
    space: Workspace, name: str, rows: Sequence[Result], named: Named
) -> tuple[Result | None, str, tuple[Place, ...], str, list[Gap]]:
    """Return the best result, the answer in words, the ranking with its scale, and what was missing for it."""
    from moodbench.evaluation.kept import kept_params
    from moodbench.report.chapter import Gap, places_of

    means = [r for r in rows if (r.ood, r.group) == (MEAN, ALL_GROUPS) and r.auroc is not None and not r.control]
    if not means:
        what = "no model has a mean over all OOD datasets yet, so there is no best one"
        return None, "No best pair yet", (), "", [Gap(what, f"moodbench score --benchmark {name}")]
    try:
        ranked = rank(benchmark=name, workspace=space)
    except ResultsError as error:
        best = max(means, key=lambda row: row.auroc or 0.0)
        return best, _plain_answer(best, named), (), "", [Gap(error.what, error.fix or "")]
    first = ranked.pairs[0]
    kept = {(row.model, row.score, kept_params(row.params)): row for row in means}
    titles = {**named, **{key: named[row.model, row.score, row.params] for key, row in kept.items()}}
    places, scale = places_of(ranked.pairs, titles)
    return kept[first.model, first.score, first.params], ranked.answer, places, scale, []


def _plain_answer(best: Result, named: Named) -> str:
    low, high = best.auroc_low, best.auroc_high
    around = "" if low is None or high is None else f" ± {printed((high - low) / 2)}"
    return (
        f"{named[best.model, best.score, best.params]}, {printed(best.auroc or 0.0)}{around}; "
        "whether others are significantly worse cannot be said without the scores of all rows"
    )


def _facts(rows: Sequence[Result], sheet: Sheet, best: Result | None, titles: Titles) -> Iterator[tuple[str, str]]:
    if best is not None:
        if best.fpr95 is not None:
            yield printed(best.fpr95), "FPR95 of the best, %"
        if best.id_accuracy is not None:
            yield printed(best.id_accuracy), "ID accuracy of its model, %"
    yield str(len(sheet.models)), "models" if len(sheet.models) > 1 else "model"
    yield str(len(sheet.series)), "scores" if len(sheet.series) > 1 else "score"
    oods = {row.ood: row for row in rows if row.ood != MEAN}
    yield str(len(oods)), "OOD datasets" if len(oods) > 1 else "OOD dataset"
    yield f"{max(row.n_id for row in rows):,}", "ID test images"
    if {row.n_id for row in oods.values()} == {max(row.n_id for row in rows)}:
        yield f"{sum(row.n_ood for row in oods.values()):,}", "OOD images"


def _labels(sheet: Sheet) -> list[str]:
    return [METRICS[name].heading for name in sheet.metrics]


def _galleries(
    space: Workspace,
    name: str,
    best: Result | None,
    provenance: Mapping[str, Any],
    images: int,
) -> tuple[list[Gallery], list[Gap]]:
    """Return the most deceptive images of every dataset for the best pair, and why there are none."""
    from moodbench.evaluation.kept import LackingError, kept_params, kept_rows, run_again
    from moodbench.report.chapter import Gap
    from moodbench.report.extremes import Album, galleries

    if best is None or images == 0:
        return [], []
    try:
        rows = kept_rows(space, name, best.model)
        album = Album(space, provenance[best.model])
        return galleries(rows, best.score, kept_params(best.params), album, images), []
    except LackingError as error:
        refusal: MoodbenchError = run_again(space, name, {best.model: str(error)})
    except KeyError:
        refusal = run_again(space, name, {best.model: f"there are none of {best.score}"})
    except ResultsError as error:
        refusal = error
    return [], [Gap(refusal.what, refusal.fix or "")]


def _sets(
    rows: Sequence[Result], sheet: Sheet, titles: Titles, named: Named, found: Sequence[Gallery]
) -> Iterator[DataSet]:
    from moodbench.report.chapter import DataSet, Gap, best_on, is_mean

    left = list(found)
    for view in sheet.views:
        if is_mean(view):
            continue
        best = tuple(best_on(rows, view, named, BEST))
        gallery = next((one for one in left if one.dataset == view.ood and not one.is_id), None)
        if gallery is not None:
            left.remove(gallery)
        counts = {row.n_ood for row in rows if (row.ood, row.group) == (view.ood, view.group)}
        about = f"{max(counts):,} OOD images."
        if gallery is not None:
            about += f" {percent(gallery.mistaken, 1)} of them pass for ID where 95 % of the ID images do."
        what = "The most ID-like of them, the most deceptive first:"
        missing = None if gallery is None else Gap(gallery.why_none, gallery.fix)
        yield DataSet(view.title, f"{view.group} OOD", about, best, gallery, what, "above", missing)
    for gallery in left:
        if gallery.is_id:
            title = titles.datasets.get(gallery.dataset, gallery.dataset)
            about = f"{gallery.images:,} ID test images."
            what = "The most OOD-like of them, the most doubtful first:"
            missing = Gap(gallery.why_none, gallery.fix)
            yield DataSet(title, "ID", about, (), gallery, what, "below", missing)


def _about_sets(best: Result | None, named: Named, found: Sequence[Gallery]) -> str:
    text = "The best pairs on each OOD dataset"
    if best is None or not found:
        return f"{text}."
    pair = named[best.model, best.score, best.params]
    return (
        f"{text}, and the images that deceive the best pair of all, {pair}. Under each OOD image stands the share of "
        "ID test images that it scores above, under each ID image the share of them that it scores below."
    )


def _plots(space: Workspace, name: str, pictures: Pictures) -> tuple[list[Plot], list[Gap]]:
    """Return every picture that can be drawn, and why others cannot."""
    return [], []
