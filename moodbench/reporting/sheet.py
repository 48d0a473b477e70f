"""The results of a benchmark for the page's own program: every number once, as hundredths of a percent.

Numbers are rounded as tables print them, so that what the page shows after a click is what it showed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodbench.metrics import METRICS
from moodbench.tables.footnotes import Index
from moodbench.tables.marks import printed
from moodbench.tables.order import Model, Series, Titles, models_in_order, ood_in_order, series_in_order
from moodbench.types import ALL_GROUPS, MEAN, Result


@dataclass(frozen=True)
class View:
    """What the grid can show: the mean over a group, or one OOD dataset."""

    ood: str
    group: str
    title: str


def views_of(results: Sequence[Result], titles: Titles) -> list[View]:
    """Return the mean over all, the means over groups, and the OOD datasets, as far as there are results of them."""
    groups = ood_in_order(results, titles)
    there = {(row.ood, row.group) for row in results}
    found = [View(MEAN, ALL_GROUPS, "mean over all OOD datasets")]
    if len(groups) > 1:
        found += [View(MEAN, group, f"mean over {group} OOD") for group in groups if (MEAN, group) in there]
    for group, names in groups.items():
        found += [View(name, group, titles.datasets.get(name, name)) for name in names]
    return found


@dataclass(frozen=True)
class Sheet:
    """The results of one benchmark, in the order in which they are shown."""

    index: Index
    models: list[Model]
    series: list[Series]
    views: list[View]
    metrics: list[str]
    provenance: Mapping[str, Mapping[str, Any]]

    @staticmethod
    def of(results: Sequence[Result], titles: Titles, provenance: Mapping[str, Mapping[str, Any]]) -> Sheet:
        """Return the sheet of all rows of one benchmark; metrics that no row has are left out.

        `provenance` is that of the results of each model.
        """
        shown = [name for name in METRICS if any(getattr(row, name) is not None for row in results)]
        return Sheet(
            Index(results),
            models_in_order(results, titles),
            series_in_order(results, titles),
            views_of(results, titles),
            shown,
            provenance,
        )

    def data(self) -> dict[str, Any]:
        """Return what JSON can hold: what the rows, columns and views are called, and the cells.

        ``cells[series][model][view]`` is null, a number (which text says why there is none), or a list: ID rows, OOD
        rows, the metrics in the order of ``metrics``, the limits of AUROC, which texts are remarks.
        ``made[series][model]`` is which text names the versions that the score was run with.
        """
        texts: dict[str, int] = {}

        def text(words: str) -> int:
            return texts.setdefault(words, len(texts))

        def cell(series: Series, model: Model, view: View) -> list[Any] | int | None:
            place = (model, series, view.ood, view.group)
            row = self.index.find(place)
            if row is None or row.auroc is None:
                why = self.index.why_empty(place)
                return text(why) if why else None
            numbers = [hundredths(getattr(row, name)) for name in self.metrics]
            notes = [text(words) for words in (row.note, *row.remarks) if words]
            return [row.n_id, row.n_ood, *numbers, hundredths(row.auroc_low), hundredths(row.auroc_high), notes]

        def made(series: Series, model: Model) -> int | None:
            name = f"{series.score} {series.params}".strip()
            made_with = self.provenance.get(model.name, {}).get("made_with", {})
            found = [versions for versions, names in made_with.items() if name in names]
            return text(found[0]) if found else None

        papers = {
            name: entry.get("paper", "")
            for noted in self.provenance.values()
            for name, entry in noted.get("scores", {}).items()
        }
        cells = [[[cell(s, m, v) for v in self.views] for m in self.models] for s in self.series]
        return {
            "models": [{"name": m.name, "title": m.title, "task": m.pretext} for m in self.models],
            "scores": [
                {"name": s.score, "params": s.params, "title": s.title, "family": s.family, "control": s.control}
                | {"paper": papers.get(s.score, "")}
                for s in self.series
            ],
            "views": [{"title": v.title, "ood": v.ood, "group": v.group} for v in self.views],
            "metrics": [
                {"name": name, "label": METRICS[name].label, "better": METRICS[name].better} for name in self.metrics
            ],
            "cells": cells,
            "made": [[made(s, m) for m in self.models] for s in self.series],
            "texts": list(texts),
        }


def hundredths(value: float | None) -> int | None:
    """Return a fraction as the hundredths of a percent that a cell prints."""
    return None if value is None else round(100 * float(printed(value)))


def level(value: float, lowest: float, highest: float) -> int:
    """Return how strongly a cell is tinted, from 0 to 9, between the worst and the best number that are shown."""
    return 9 if highest == lowest else min(9, max(0, int(10 * (value - lowest) / (highest - lowest))))
