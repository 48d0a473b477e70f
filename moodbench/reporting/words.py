"""What the page says in words: the answer without a test, the numbers at its head, datasets one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from moodbench.reporting.chapter import BestHere, DataSet, Gap, Named, is_mean
from moodbench.reporting.extremes import Gallery
from moodbench.reporting.sheet import Sheet, View
from moodbench.sizes import percent
from moodbench.tables.marks import printed, width_of
from moodbench.tables.order import Titles
from moodbench.types import MEAN, Result

BEST = 5
"""Pairs that are named for each OOD dataset."""


_TRIALS = {
    (True, True): "All are trial runs, on a part of the images (--limit).",
    (False, True): "This is a trial run, on a part of the images (--limit).",
    (False, False): "Some of the others are trial runs, on a part of the images (--limit).",
}
"""Whether all are, and whether the best is."""


def about_trials(trials: Sequence[bool]) -> str:
    """Return what a headline says of trial runs, from whether each entry is one, the best first; none: nothing."""
    return _TRIALS[all(trials), trials[0]] if any(trials) else ""


def plain_answer(best: Result, named: Named) -> str:
    """Return the best pair in words, where the scores of rows are missing that a test would need."""
    low, high = best.auroc_low, best.auroc_high
    around = "" if low is None or high is None else f" ± {width_of((high - low) / 2)}"
    return (
        f"{named[best.model, best.score, best.params]}, {printed(best.auroc or 0.0)}{around}; "
        "whether others are significantly worse cannot be said without the scores of all rows"
    )


def facts(rows: Sequence[Result], sheet: Sheet, best: Result | None) -> Iterator[tuple[str, str]]:
    """Yield the numbers at the head of the page, each with what it is."""
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


def best_on(rows: Sequence[Result], view: View, titles: Named, most: int) -> Iterator[BestHere]:
    """Yield the pairs with the best AUROC on an OOD dataset, controls left out."""
    there = [r for r in rows if (r.ood, r.group) == (view.ood, view.group) and r.auroc is not None and not r.aside]
    for row in sorted(there, key=lambda r: -(r.auroc or 0.0))[:most]:
        title = titles.get((row.model, row.score, row.params), f"{row.score} on {row.model}")
        yield BestHere(title, row.auroc or 0.0, row.auroc_low, row.auroc_high, row.fpr95)


def sets_of(
    rows: Sequence[Result],
    sheet: Sheet,
    titles: Titles,
    named: Named,
    found: Sequence[Gallery],
    pictures: Mapping[str, str],
) -> Iterator[DataSet]:
    """Yield the OOD datasets, then the ID datasets that there are images of.

    Parameters
    ----------
    rows, sheet, titles, named
        The results, in several forms.
    found : sequence of Gallery
        Of the best pair.
    pictures : mapping
        OOD dataset → its picture, as SVG for the page.
    """
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
        picture = pictures.get(view.ood, "")
        yield DataSet(view.title, f"{view.group} OOD", about, best, gallery, what, "above", missing, picture)
    for gallery in left:
        if gallery.is_id:
            title = titles.datasets.get(gallery.dataset, gallery.dataset)
            about = f"{gallery.images:,} ID test images."
            what = "The most OOD-like of them, the most doubtful first:"
            missing = Gap(gallery.why_none, gallery.fix)
            yield DataSet(title, "ID", about, (), gallery, what, "below", missing)


def about_sets(best: Result | None, named: Named, found: Sequence[Gallery]) -> str:
    """Return what stands above the datasets."""
    text = "The best pairs on each OOD dataset"
    if best is None or not found:
        return f"{text}."
    pair = named[best.model, best.score, best.params]
    return (
        f"{text}, and the images that deceive the best pair of all, {pair}. Under each OOD image stands the share of "
        "ID test images that it scores above, under each ID image the share of them that it scores below."
    )
