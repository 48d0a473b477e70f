"""The order in which people read results: models by pretext task, scores by family. Tables and plots share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from moodbench.catalog import PRETEXT_TASKS
from moodbench.params import by_value
from moodbench.types import FAMILIES, MEAN, Family, Result

COLOURS: Mapping[Family, str] = {
    "probability": "#e0a100",
    "logit": "#2f9e4f",
    "feature": "#2f6fde",
    "feature+logit": "#d33a2c",
    "imported": "#8f5bc4",
}
"""Yellow, green, blue and red as in the paper's first figure, and violet, in shades that read on white and on black."""


@dataclass(frozen=True)
class Series:
    """One score with its parameters, as a row of a table or a marker of a plot.

    `control`: it competes for no best and enters no mean. A control knows nothing and checks the harness; a
    transductive score knows other test images, which the others do not.
    """

    family: Family
    score: str
    params: str
    title: str
    control: bool = False


@dataclass(frozen=True)
class Model:
    """One model, as a column of a table or a place on the axis of a plot."""

    name: str
    pretext: str
    title: str


@dataclass(frozen=True)
class Titles:
    """Display names. Their order is the order of display; what has no title shows its identifier and comes last.

    Attributes
    ----------
    models, scores, datasets : mapping
        From identifier to title, in catalogue or registration order.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)

    def model(self, name: str) -> str:
        """Return the title of ``MODEL[@VARIANT][+HEAD]``: that of MODEL, then what distinguishes it."""
        if name in self.models:
            return self.models[name]
        base = _base(name)
        rest = name[len(base) :]
        return self.models.get(base, base) + (f" {rest}" if rest else "")


NO_TITLES = Titles()


def series_in_order(results: Iterable[Result], titles: Titles = NO_TITLES) -> list[Series]:
    """Return the scores in `results` by family, then in the order of their titles, then by name and parameters.

    The title names the parameters only where one score occurs with several.
    """
    found = {(row.score, row.params): row for row in results}
    variants = Counter(score for score, _ in found)
    series = []
    for (score, params), row in found.items():
        title = titles.scores.get(score, score)
        title = f"{title} ({params})" if variants[score] > 1 else title
        series.append(Series(row.family, score, params, title, row.aside))
    return sorted(
        series,
        key=lambda s: (FAMILIES.index(s.family), _place(titles.scores, s.score), s.score, by_value(s.params), s.params),
    )


def models_in_order(results: Iterable[Result], titles: Titles = NO_TITLES) -> list[Model]:
    """Return the models in `results` by pretext task, then in the order of their titles, then by name."""
    pretexts = {row.model: row.pretext for row in results}
    tasks = [*PRETEXT_TASKS, *sorted(set(pretexts.values()) - set(PRETEXT_TASKS))]
    models = [Model(name, pretext, titles.model(name)) for name, pretext in pretexts.items()]
    known = titles.models

    def place(model: Model) -> tuple[int, int, str]:
        named = model.name if model.name in known else _base(model.name)
        return tasks.index(model.pretext), _place(known, named), model.name

    return sorted(models, key=place)


def ood_in_order(results: Iterable[Result], titles: Titles = NO_TITLES) -> dict[str, list[str]]:
    """Return the OOD datasets in `results` by group, in the order of their titles, then by name."""
    found = {(row.ood, row.group) for row in results if row.ood != MEAN}
    groups: dict[str, list[str]] = {}
    for ood, group in sorted(found, key=lambda pair: (_place(titles.datasets, pair[0]), pair[1], pair[0])):
        groups.setdefault(group, []).append(ood)
    return groups


def _place(order: Mapping[str, str], name: str) -> int:
    return list(order).index(name) if name in order else len(order)


def _base(model: str) -> str:
    return model.partition("+")[0].partition("@")[0]
