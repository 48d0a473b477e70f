"""What scores left empty, in words: of a model at once, and of layers, which lack the same by nature, all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from moodbench.sizes import many
from moodbench.types import Result
from moodbench.views import LayerView
from moodbench.workspace import ModelName


def empty_scores(rows: Iterable[Result]) -> dict[str, str]:
    """Return the scores without a number, with their parameters where that tells them apart, and why."""
    rows = list(rows)
    variants = Counter(score for score, _ in {(row.score, row.params) for row in rows})
    empty = {(row.score, row.params): row.note for row in rows if row.auroc is None}
    return {score if variants[score] == 1 else f"{score} {params}": note for (score, params), note in empty.items()}


def said_of(empty: Mapping[str, str]) -> str:
    """Return what follows the line on a model: nothing, one reason with its scores, or a line for each reason."""
    alike: dict[str, list[str]] = {}
    for score, why in empty.items():
        alike.setdefault(why, []).append(score)
    if len(alike) < 2:
        return "".join(f"; left empty: {', '.join(scores)} ({why})" for why, scores in alike.items())
    return "; left empty:" + "".join(f"\n  {', '.join(scores)} ({why})" for why, scores in alike.items())


@dataclass
class OfLayers:
    """Collects what layers lack, and says it once for each reason."""

    found: dict[tuple[str, str], dict[str, list[ModelName]]] = field(default_factory=dict)
    """(Benchmark, reason) → score → layers."""

    def take(self, name: ModelName, benchmark: str, empty: Mapping[str, str]) -> bool:
        """Note what is empty if that is a layer; say whether it is."""
        if LayerView.parse(name.view) is None:
            return False
        for score, why in empty.items():
            self.found.setdefault((benchmark, why), {}).setdefault(score, []).append(name)
        return True

    def lines(self) -> Iterator[str]:
        """Yield a line for each reason, and for each group of layers that it holds for."""
        for (benchmark, why), scores in self.found.items():
            groups: dict[tuple[ModelName, ...], list[str]] = {}
            for score, lacking in scores.items():
                groups.setdefault(tuple(lacking), []).append(score)
            for layers, alike in groups.items():
                yield f"{_called(layers)} on {benchmark} left empty: {', '.join(alike)} ({why})"


def _called(layers: tuple[ModelName, ...]) -> str:
    if len(layers) == 1:
        return str(layers[0])
    models = list(dict.fromkeys(str(one.whole) + (f"+{one.head}" if one.head else "") for one in layers))
    return f"{len(layers)} layers of {models[0] if len(models) == 1 else many(len(models), 'model')}"
