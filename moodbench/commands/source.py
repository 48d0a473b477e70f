"""The results of benchmarks and what lies beside their caches, read once for any number of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from moodbench.arguments import as_names
from moodbench.errors import UnknownNameError
from moodbench.params import is_noisy
from moodbench.tables.depth import Depths, depths_of, line_of
from moodbench.tables.order import Titles
from moodbench.tables.selection import Found, only, rows_of, titles_of, without_views
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import Workspace

if TYPE_CHECKING:
    from moodbench.evaluation.kept import KeptRows
    from moodbench.plots.given import Features, Given, Pair, Split
    from moodbench.tables.order import Model


class Source:
    """What pictures of some benchmarks are drawn from.

    Attributes
    ----------
    names : list of str
        The benchmarks.
    found : list of (str, list of Result)
        Each with its results, also of scores that were fitted with wrong labels on purpose, and of layers.
    titles : Titles
        Of the models and datasets of the first, and of all scores.
    """

    def __init__(self, space: Workspace, names: Sequence[str], head: str | None = None) -> None:
        """Read the results; with `head` those of the models with this head alone."""
        self._space = space
        self.names = [*names]
        self.found: Found = [(name, rows_of(space, name, head, noisy=True, views=True)) for name in names]
        titles = [titles_of(space, name) for name in names]
        self.titles = Titles(
            models=titles[0].models,
            scores={name: title for one in titles for name, title in one.scores.items()},
            datasets=titles[0].datasets,
        )

    @cached_property
    def kept(self) -> KeptRows:
        """The row scores; pictures of several benchmarks take none."""
        from moodbench.evaluation.kept import KeptRows

        return KeptRows(self._space, self.names[0])

    @property
    def results(self) -> list[Result]:
        """All results, without those of scores that were fitted with wrong labels, and of layers."""
        return [row for _, some in self.found for row in without_views(some) if not is_noisy(row.params)]

    def given(
        self,
        *,
        model: str | Sequence[str] = (),
        score: str | Sequence[str] = (),
        ood: str | Sequence[str] = (),
        group: str = ALL_GROUPS,
        param: str | None = None,
        layers: bool = False,
    ) -> Given:
        """Return what a plot is given; names that nothing has are refused.

        `layers`: it is a picture of layers, and the name of a model stands for all of its own. Others show those alone
        that are named.
        """
        from moodbench.plots.given import Given

        models, scores, oods = as_names(model), as_names(score), as_names(ood)
        found = self.found if layers else [(name, without_views(some, models)) for name, some in self.found]
        found = only(found, "model", models, lambda row: line_of(row.model) if layers else row.model)
        found = only(found, "score", scores, lambda row: row.score)
        noisy = [row for _, some in found for row in some if is_noisy(row.params)]
        rows = [row for _, some in found for row in some if not is_noisy(row.params)]
        _check_group(group, rows)
        known = {row.ood for row in rows if group in (ALL_GROUPS, row.group)} - {MEAN}
        for name in oods:
            if name not in known:
                what = "OOD {} with results" + ("" if group == ALL_GROUPS else f" in the group '{group}'")
                raise UnknownNameError(what.format("dataset"), name, known, plural=what.format("datasets"))

        def samples(pairs: Sequence[Pair]) -> Mapping[Pair, Sequence[Split]]:
            from moodbench.evaluation.splits import splits_of

            return splits_of(self.kept, pairs, drawn.datasets)

        def features(model: Model, most: int) -> Features:
            from moodbench.evaluation.embedded import features_of

            return features_of(self._space, self.names[0], model.name, drawn.datasets, most)

        def seconds(model: Model) -> Mapping[tuple[str, str], float]:
            from moodbench.evaluation.kept import measured_times

            return measured_times(self._space, self.names[0], model.name)

        def depths() -> Depths:
            return depths_of(self._space, self.names[0], rows)

        drawn = Given(
            rows,
            self.titles,
            group=group,
            models=tuple(models),
            scores=tuple(scores),
            oods=tuple(oods),
            param=param,
            noisy=noisy,
            samples=samples,
            features=features,
            seconds=seconds,
            depths=depths,
        )
        return drawn


def _check_group(group: str, rows: Sequence[Result]) -> None:
    groups = {row.group for row in rows} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
