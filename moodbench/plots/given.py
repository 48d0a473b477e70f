"""What a plot is made of: results, and through callables row scores, features and times, as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import ResultsError, UsageError
from moodbench.tables.depth import Depths
from moodbench.tables.footnotes import Index
from moodbench.tables.order import NO_TITLES, Model, Series, Titles, models_in_order, ood_in_order, series_in_order
from moodbench.types import ALL_GROUPS, MEAN, Result

Array = NDArray[np.float64]

Pair = tuple[Model, Series]
"""A model and a score with its parameters."""


@dataclass(frozen=True)
class Split:
    """Scores of test rows, higher = more in-distribution: of one OOD dataset, and of the ID rows it is compared with.

    Attributes
    ----------
    name : str
        Of the OOD dataset; where each class in turn is ID, of that class.
    id : (n,) float64
        One array for all OOD datasets, unless each class in turn is ID. A row without a number has -inf.
    ood : (m,) float64
        A row without a number has inf: each is an error, as it is in the results.
    """

    name: str
    id: Array
    ood: Array


@dataclass(frozen=True)
class Features:
    """Features of one model's test rows, at most so many of each dataset, spread evenly over it.

    Attributes
    ----------
    id : (n, D) float32
    ood : mapping of the name of a dataset to (m, D) float32
    """

    id: NDArray[np.float32]
    ood: Mapping[str, NDArray[np.float32]]


def _no_rows(pairs: Sequence[Pair]) -> Mapping[Pair, Sequence[Split]]:
    raise ResultsError("there are no row scores to draw", fix="give them as `samples`")


def _no_features(model: Model, most: int) -> Features:
    raise ResultsError("there are no features to draw", fix="give them as `features`")


def _no_seconds(model: Model) -> Mapping[tuple[str, str], float]:
    raise ResultsError("there are no measured times to draw", fix="give them as `seconds`")


def _no_depths() -> Depths:
    raise ResultsError("there are no layers to draw", fix="give them as `depths`")


@dataclass(frozen=True)
class Given:
    """What every plot function takes.

    Attributes
    ----------
    results : sequence of Result
        Of one benchmark, or of several where a plot takes several; of the chosen models and scores alone.
    titles : Titles
        Display names and the order of display.
    group : str
        The OOD group that is drawn, or whose mean is.
    models, scores, oods : tuple of str
        What was asked for by name, in this order; empty: whatever there is.
    param : str, optional
        The parameter that was asked for: ``NAME`` or ``SCORE.NAME``.
    noisy : sequence of Result
        Results of scores that were fitted with wrong labels on purpose, which no other plot shows.
    width : float, optional
        Of the figure in inches; None for a plot that is as large as its content needs.
    samples : callable
        Pairs of model and score → for each its row scores, an item for each OOD dataset of the group. Where some are
        missing it raises a `ResultsError` that says of which models, and what to run.
    features : callable
        A model, and the most rows of a dataset → its features.
    seconds : callable
        A model → from (score, params) to the seconds that a test row took, as far as they were measured.
    depths : callable
        Which of the results are of a layer, and how deep it lies; a `ResultsError` where none is.
    """

    results: Sequence[Result]
    titles: Titles = NO_TITLES
    group: str = ALL_GROUPS
    models: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    oods: tuple[str, ...] = ()
    param: str | None = None
    noisy: Sequence[Result] = ()
    width: float | None = None
    samples: Callable[[Sequence[Pair]], Mapping[Pair, Sequence[Split]]] = _no_rows
    features: Callable[[Model, int], Features] = _no_features
    seconds: Callable[[Model], Mapping[tuple[str, str], float]] = _no_seconds
    depths: Callable[[], Depths] = _no_depths

    @cached_property
    def index(self) -> Index:
        """The results by place; a `UsageError` where they are of several benchmarks."""
        return Index(self.results)

    @cached_property
    def in_order(self) -> list[Model]:
        """All models, in the order of display."""
        return models_in_order(self.results, self.titles)

    @cached_property
    def series(self) -> list[Series]:
        """All scores, in the order of display."""
        return series_in_order(self.results, self.titles)

    @cached_property
    def datasets(self) -> list[str]:
        """The OOD datasets of the group (all that were asked for by name), in the order of display."""
        groups = ood_in_order(self.results, self.titles)
        names = [name for group, some in groups.items() if self.group in (ALL_GROUPS, group) for name in some]
        return [name for name in dict.fromkeys(names) if not self.oods or name in self.oods]

    @property
    def over(self) -> str:
        """What means are over, in words."""
        return "all OOD datasets" if self.group == ALL_GROUPS else f"the {self.group} OOD datasets"

    def about(self, text: str) -> str:
        """Return a heading: the benchmarks, and what is shown of them."""
        return f"{', '.join(dict.fromkeys(row.benchmark for row in self.results))}: {text}"

    def dataset(self, name: str) -> str:
        """Return the title of an OOD dataset."""
        return self.titles.datasets.get(name, name)

    @cached_property
    def means(self) -> dict[Pair, Result]:
        """The mean rows over the group that have an AUROC, by pair, in the order of display."""
        places = ((model, one) for model in self.in_order for one in self.series)
        found = {(model, one): self.index.find((model, one, MEAN, self.group)) for model, one in places}
        return {pair: row for pair, row in found.items() if row is not None and row.auroc is not None}

    def known_means(self) -> dict[Pair, Result]:
        """Return `means`, without controls that were not asked for; none is a `ResultsError`."""
        found = {pair: row for pair, row in self.means.items() if not pair[1].control or pair[1].score in self.scores}
        if not found:
            raise ResultsError(
                f"no score of '{self.index.benchmark}' has a mean AUROC over the group '{self.group}'",
                fix="run 'moodbench score' on every OOD dataset of the group",
            )
        return found

    def without_auroc(self, *, named: bool = False) -> list[str]:
        """Return a remark on the pairs that lack an AUROC of what is drawn, since their score failed; none: nothing.

        Parameters
        ----------
        named : bool
            Only where models or scores were asked for by name: else a picture shows the best, and lacks nothing.
        """
        if named and not (self.models or self.scores):
            return []
        failed = {
            (row.model, row.score, row.params)
            for row in self.results
            if row.auroc is None and (row.ood in self.datasets or (row.ood, row.group) == (MEAN, self.group))
        }
        lacking = [
            pair_title((model, one))
            for model in self.in_order
            for one in self.series
            if (model.name, one.score, one.params) in failed and (not one.control or one.score in self.scores)
        ]
        return [f"Without an AUROC (moodbench table says why): {listed(lacking)}."] if lacking else []

    def trials(self, models: Iterable[str], titled: Callable[[str], str] | None = None) -> list[str]:
        """Return a remark on those of the models in a picture that met a part of the images alone; none: nothing.

        `titled`: what the picture calls a model, where that is not its title.
        """
        drawn = dict.fromkeys(models)
        rows = [row for row in (*self.results, *self.noisy) if row.auroc is not None]
        limits = {row.model: row.limit for row in rows if row.model in drawn and row.is_trial}
        if not limits:
            return []
        titled = titled or self.titles.model
        runs = "Trial runs" if len({titled(name) for name in drawn}) > 1 else "Trial run"
        if len(limits) == len(drawn) and len({*limits.values()}) == 1:
            return [f"{runs}, on a part of the images ({next(iter(limits.values()))})."]
        names = dict.fromkeys(f"{titled(name)} ({limits[name]})" for name in drawn if name in limits)
        return [f"{runs}, on a part of the images: {listed([*names])}."]

    @cached_property
    def cells(self) -> dict[Pair, dict[str, Result]]:
        """Of every pair the rows of `datasets` that have an AUROC, by OOD dataset; pairs without any are left out.

        Controls are left out too, unless they were asked for by name.
        """
        found = {}
        for model in self.in_order:
            for one in self.series:
                if not one.control or one.score in self.scores:
                    rows = self.index.rows(model, one).items()
                    of = {ood: row for (ood, _), row in rows if row.auroc is not None}
                    its = {name: of[name] for name in self.datasets if name in of}
                    if its:
                        found[model, one] = its
        return found

    def pairs(self, most: int, *, table: bool = False) -> list[Pair]:
        """Return the pairs that a plot of a few shows, in the order of display.

        Named models and scores: each with each. Models alone: each with its best score; scores alone: each with its
        best model; nothing named: the best pair. Best is the highest mean AUROC over `datasets`; a pair that lacks
        some of them comes after those that have more.

        Parameters
        ----------
        most : int
        table : bool
            Of named models or scores alone all pairs, and where nothing is named each model with its best score.

        Raises
        ------
        UsageError
            These are more than `most`.
        ResultsError
            There is none.
        """
        if not self.cells:
            group = "" if self.group == ALL_GROUPS else f" of the group '{self.group}'"
            raise ResultsError(
                f"no score of '{self.index.benchmark}' has an AUROC on the OOD datasets{group} that are drawn",
                fix=f"moodbench table --benchmark {self.index.benchmark} --layout datasets says why",
            )
        best = sorted(self.cells, key=self._merit, reverse=True)  # stable: of equals the one that is shown first
        by_model = list({pair[0]: pair for pair in reversed(best)}.values())
        by_score = list({pair[1]: pair for pair in reversed(best)}.values())
        if (self.models and self.scores) or (table and (self.models or self.scores)):
            found = best
        elif self.models or table:
            found = by_model
        else:
            found = by_score if self.scores else best[:1]
        if len(found) > most:
            raise UsageError(
                f"{len(found)} pairs of model and score do not fit one picture, which tells at most {most} apart",
                fix="name fewer with --model and --score",
            )
        return [pair for pair in self.cells if pair in set(found)]

    def _merit(self, pair: Pair) -> tuple[int, float]:
        values = [row.auroc or 0.0 for row in self.cells[pair].values()]
        return len(values), sum(values) / len(values)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names in a row: so many at most, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def pair_title(pair: Pair) -> str:
    """Return "score on model"."""
    return f"{pair[1].title} on {pair[0].title}"
