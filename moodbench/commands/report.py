"""What ``moodbench report`` does: everything that is known of the results of benchmarks → one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_names, as_path, check_whole
from moodbench.atomic import write_file
from moodbench.commands.rank import rank
from moodbench.commands.source import Source
from moodbench.errors import MoodbenchError, UsageError
from moodbench.evaluation.stale import marked_stale
from moodbench.metrics import METRICS
from moodbench.results import read_provenance
from moodbench.tables.grid import grid
from moodbench.tables.selection import chosen_benchmarks
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import ModelName, Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.reporting.chapter import Chapter, Gap, Named, Place, Plot
    from moodbench.reporting.extremes import Gallery
    from moodbench.reporting.sheet import Sheet
    from moodbench.reporting.svg import Pictures


def report(
    benchmark: str | Sequence[str] = (),
    *,
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
    space = as_workspace(workspace)
    file = as_path(out)
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a report cannot be written as '{file.name}'", fix="end the file name in .html")
    check_whole(images=images)
    if not 0 <= images <= 1000:
        raise UsageError(f"{images} images of a dataset cannot be shown", fix="choose a number from 0 to 1000")
    names = chosen_benchmarks(space, as_names(benchmark))
    from moodbench.reporting.page import page
    from moodbench.reporting.svg import Pictures

    pictures = Pictures()
    chapters = [_chapter(space, name, images, pictures) for name in dict.fromkeys(names)]
    write_file(file, page(chapters, pictures))
    return file


def _chapter(space: Workspace, name: str, images: int, pictures: Pictures) -> Chapter:
    from moodbench.reporting.chapter import Chapter, lines_of, split_answer
    from moodbench.reporting.layout import two_columns
    from moodbench.reporting.origin import origin_of
    from moodbench.reporting.sheet import Sheet
    from moodbench.reporting.words import about_sets, facts, sets_of

    source = Source(space, [name])
    rows, titles = marked_stale(space, name, source.results), source.titles
    models = dict.fromkeys(row.model for row in rows)
    provenance = {model: read_provenance(space.results_file(name, ModelName.parse(model))) for model in models}
    sheet = Sheet.of(rows, titles, provenance)
    named = {(m.name, s.score, s.params): f"{s.title} on {m.title}" for m in sheet.models for s in sheet.series}
    shown = grid(rows, metric=["auroc"], titles=titles)
    spec = space.catalog.benchmarks.get(name)
    best, answer, places, scale, unranked = _best(space, name, rows, named)
    short, rest = split_answer(answer)
    whole = Chapter(
        name,
        name if spec is None or not spec.title else spec.title,
        short,
        " ".join(filter(None, [_trials(rows, best), rest])),
        sheet,
        lines_of(shown),
        shown.footnotes,
        list(facts(rows, sheet, best)),
        metric_labels=[METRICS[metric].heading for metric in sheet.metrics],
        families=list(dict.fromkeys(s.family for s in sheet.series)),
        origins=[origin_of(m.name, m.title, provenance[m.name]) for m in sheet.models],
    )
    galleries, without_images = _galleries(space, source, best, provenance, images)
    plots, undrawn, of_sets = _plots(source, best, sheet, pictures)
    wide = [plot for plot in plots if plot.wide]
    others = [plot for plot in plots if not plot.wide]
    return replace(
        whole,
        over="" if best is None else "highest mean AUROC, in %",
        standings=places,
        scale=scale,
        late=any(one.late for one in places),
        unranked=unranked,
        plots=wide,
        halves=two_columns(others, [plot.height for plot in others]),
        undrawn=undrawn,
        sets=list(sets_of(rows, sheet, titles, named, galleries, of_sets)),
        about_sets=about_sets(best, named, galleries),
        without_images=without_images,
    )


def _trials(rows: Sequence[Result], best: Result | None) -> str:
    """Return what the head of the page says of trial runs: of the best pair, and of those it is compared with."""
    from moodbench.reporting.words import about_trials

    valued = [r for r in rows if r.auroc is not None and not r.aside]
    if best is None:
        return about_trials([True]) if valued and all(r.is_trial for r in valued) else ""
    return about_trials([best.is_trial, *(r.is_trial for r in valued if (r.ood, r.group) == (best.ood, best.group))])


def _best(
    space: Workspace, name: str, rows: Sequence[Result], named: Named
) -> tuple[Result | None, str, tuple[Place, ...], tuple[str, str], Gap | None]:
    """Return the best result, the answer in words, the ranking with its scale, and why there is none."""
    from moodbench.evaluation.kept import kept_params
    from moodbench.reporting.chapter import Gap, places_of
    from moodbench.reporting.words import plain_answer

    means = [r for r in rows if (r.ood, r.group) == (MEAN, ALL_GROUPS) and r.auroc is not None and not r.aside]
    if not means:
        what = "no model has a mean over all OOD datasets yet, so there is no best one"
        return None, "No best pair yet", (), ("", ""), Gap(what, f"moodbench score --benchmark {name}")
    try:
        ranked = rank(benchmark=name, workspace=space)
    except MoodbenchError as error:  # of row scores, or of the caches that they are held against
        best = max(means, key=lambda row: row.auroc or 0.0)
        return best, plain_answer(best, named), (), ("", ""), Gap(error.what, error.fix or "")
    first = ranked.pairs[0]
    kept = {(row.model, row.score, kept_params(row.params)): row for row in means}
    titles = {**named, **{key: named[row.model, row.score, row.params] for key, row in kept.items()}}
    places, scale = places_of(ranked.pairs, titles)
    key = (first.model or "", first.score or "", first.params or "")  # all three are there, where pairs are ranked
    return kept[key], ranked.answer, places, scale, None


def _galleries(
    space: Workspace,
    source: Source,
    best: Result | None,
    provenance: Mapping[str, Any],
    images: int,
) -> tuple[list[Gallery], Gap | None]:
    """Return the most deceptive images of every dataset for the best pair, and why there are none."""
    from moodbench.evaluation.kept import LackingError, kept_params, run_again
    from moodbench.reporting.chapter import Gap
    from moodbench.reporting.extremes import Album, galleries

    if best is None or images == 0:
        return [], None
    try:
        rows = source.kept.of(best.model)
        album = Album(space, provenance[best.model])
        return galleries(rows, best.score, kept_params(best.params), album, images), None
    except LackingError as error:
        refusal: MoodbenchError = run_again(space, best.benchmark, {best.model: str(error)})
    except KeyError:
        refusal = run_again(space, best.benchmark, {best.model: f"there are none of {best.score}"})
    except MoodbenchError as error:
        refusal = error
    return [], Gap(refusal.what, refusal.fix or "")


def _plots(
    source: Source, best: Result | None, sheet: Sheet, pictures: Pictures
) -> tuple[list[Plot], list[Gap], dict[str, str]]:
    """Return every picture that can be drawn, why others cannot, and OOD dataset → how its scores are distributed."""
    from moodbench.plots.base import PLOTS, inline_svg
    from moodbench.reporting.captions import AS_ON_PAPER, HALF, ZOOM, caption_of, in_order
    from moodbench.reporting.chapter import Gap, Plot

    plots: list[Plot] = []
    undrawn: dict[Gap, list[str]] = {}
    given = source.given()
    for kind in in_order([*PLOTS]):
        plot = PLOTS.get(kind)
        try:
            shown_in = source.given(layers=True) if plot.layers else given
            svg = inline_svg(kind, shown_in, key="plot")
        except MoodbenchError as error:
            undrawn.setdefault(Gap(error.what, error.fix or ""), []).append(kind)
            continue
        caption = caption_of(kind, plot.draw)
        label = f"{kind}: {caption}"
        zoom = 1.0 if plot.width is None else ZOOM
        width, height = pictures.size_of(svg)
        wide = zoom * width > HALF
        narrow = ""
        if wide:
            with suppress(MoodbenchError):  # it has more to show than fits: then it stands in a box that scrolls
                narrow = pictures.inline(inline_svg(kind, shown_in, key="plot", width="column"), label, ZOOM)
        shown = pictures.inline(svg, label, zoom)
        plots.append(Plot(kind, caption, shown, wide, kind in AS_ON_PAPER, narrow, zoom * height))
    of_sets: dict[str, str] = {}
    if best is not None and any(plot.kind == "distributions" for plot in plots):
        for ood in {view.ood: view for view in sheet.views if view.ood != MEAN}:
            given = source.given(model=best.model, score=best.score, ood=ood)
            svg = inline_svg("distributions", given, key="plot", width="column")
            of_sets[ood] = pictures.inline(svg, f"distribution of scores on {ood}", ZOOM)
    gaps = [Gap(f"{', '.join(kinds)}: {gap.what}", gap.fix) for gap, kinds in undrawn.items()]
    return plots, gaps, of_sets
