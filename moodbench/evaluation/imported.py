"""Imported scores among those that are fitted: their numbers are read, where others are computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import MoodbenchError, UnknownNameError, UsageError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.engine import Engine
from moodbench.features.given_scores import named
from moodbench.features.imported import read_imported
from moodbench.features.reader import RowReader
from moodbench.scores.base import SCORES, Score
from moodbench.scores.machinery.notes import note_degenerate
from moodbench.sizes import many
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from moodbench.scores.block import Block

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """What there is of one imported score for the test rows of a model.

    Attributes
    ----------
    values : mapping of dataset to (N,) float64
        In the order of the cache's rows, higher = more in-distribution.
    lacking : mapping of dataset to str
        Why there are none of others.
    origin : mapping of dataset to dict
        For the provenance of results.
    """

    values: Mapping[str, Array] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Imported(Score):
    """A score whose numbers another program computed; it has nothing to fit, and no parameters."""

    paper = ""
    numbers: Numbers

    def score(self, block: Block) -> Tensor:
        """Never asked: `WithImported` takes the numbers as they are."""
        raise NotImplementedError("imported scores are of the images of a dataset alone")


class WithImported(Engine):
    """An engine that also takes imported scores; those that are fitted know nothing of them."""

    def run(self, scores: Mapping[str, Score]) -> tuple[dict[tuple[str, str], Array], dict[str, str]]:
        """Fit and score as `Engine` does; of an imported score take the numbers that there are."""
        own = {name: score for name, score in scores.items() if not isinstance(score, Imported)}
        values, missing = super().run(own)
        for name, score in scores.items():
            if not isinstance(score, Imported):
                continue
            lacking = [score.numbers.lacking[one] for one in self.caches.test if one in score.numbers.lacking]
            if lacking:
                missing[name] = "; ".join(lacking)
                continue
            values |= {(one, name): score.numbers.values[one] for one in self._tested if one in score.numbers.values}
            self.absent |= {(one, name): why for one, why in score.numbers.lacking.items()}
            note_degenerate({name: score}, missing, values)
        return values, missing

    @property
    def _tested(self) -> Iterable[str]:
        return [*self.caches.test, *(name for name in self.caches.ood if name not in self.caches.test)]


def chosen_scores(
    space: Workspace, models: Sequence[ModelName], names: Sequence[str], *, plain: bool
) -> tuple[list[str], list[str]]:
    """Return the scores that are computed and the imported ones: those that are named, or all there are.

    What was imported has nothing to fit: it has no part in runs with wrong labels or with parameters to choose (`plain`
    is false), nor with another head than the model's own.
    """
    there = dict.fromkeys(one for model in models if model.head is None for one in space.imported_scores(model))
    if not names:
        return list(SCORES), [one for one in there if one not in SCORES] if plain else []
    unknown = [name for name in names if name not in SCORES and name not in there]
    if unknown:
        raise _not_there(space, models, unknown[0], [*SCORES, *there])
    imported = [name for name in names if name not in SCORES]
    if imported and not plain:
        raise UsageError(
            f"'{imported[0]}' is an imported score: it learns from no labels and has no parameters to choose",
            fix="run it without --tune and --label-noise",
        )
    return [name for name in names if name in SCORES], imported


def _not_there(space: Workspace, models: Sequence[ModelName], score: str, known: Iterable[str]) -> MoodbenchError:
    """Return the error about a score that is none of ours, and was imported for none of the models."""
    of = [str(model) for model in space.model_folders() if score in space.imported_scores(model)]
    if not of:
        return UnknownNameError("score", score, known)
    asked = [str(model) for model in models]
    if {*of} & {str(model.without_head) for model in models}:
        what = "belongs to the model itself, and a head is asked for"
        return UsageError(f"'{score}' is an imported score of {', '.join(of)}: it {what}", fix="leave --head out")
    return UsageError(
        f"the score '{score}' was imported for {', '.join(of)}, and not for {', '.join(asked)}",
        fix=f"--model {of[0]}, or moodbench import-scores --model {asked[0]} --score {score}",
    )


def imported_scores(
    space: Workspace, name: ModelName, caches: Caches, wanted: Iterable[str], report: Report
) -> dict[str, Imported]:
    """Return those of the `wanted` scores that were imported for test rows of a model, by name.

    A dataset without numbers, or of which they cannot be used, leaves its cell empty; `report` is told of a name that
    is one of moodbench's own scores now.
    """
    found: dict[str, Imported] = {}
    there = space.imported_scores(name)
    for score in wanted:
        tested = {**caches.test, **caches.ood}
        if not set(there.get(score, ())) & set(tested):
            continue
        if score in SCORES:
            report(f"left out: the imported scores '{score}' of {name}, a score of that name is computed; import anew")
            continue
        found[score] = _made(space, name, score, tested)
    return found


def _made(space: Workspace, name: ModelName, score: str, tested: Mapping[str, RowReader]) -> Imported:
    values: dict[str, Array] = {}
    lacking: dict[str, str] = {}
    origin: dict[str, Mapping[str, Any]] = {}
    family = None
    for dataset, reader in tested.items():
        file = space.imported_file(name, score, dataset)
        if not file.exists():
            lacking[dataset] = f"no imported numbers of {dataset}"
            continue
        try:
            read = read_imported(file)
        except MoodbenchError as error:  # a fault of one score must not cost the others
            lacking[dataset] = f"{dataset}: {error.what}"
            continue
        numbers, missing = read.of(reader.ids)
        if missing:
            lacking[dataset] = f"no imported numbers of {many(len(missing), 'image')} of {dataset}: {named(missing)}"
            continue
        values[dataset], family = numbers, family or read.origin.family
        said = read.origin
        origin[dataset] = {
            "file": said.file,
            "sha256": said.sha256,
            "orientation": said.orientation,
            "matched": said.matched,
            "contents": read.contents,
        }
    files = dict.fromkeys(str(one["file"]) for one in origin.values())
    which = next(iter(files)) if len(files) == 1 else f"{len(files)} files"
    kind = type(
        "Imported", (Imported,), {"title": score, "family": family or "imported", "note": f"imported from {which}"}
    )
    made: Imported = kind()
    made.numbers = Numbers(values, lacking, origin)
    return made


def noted_imported(scores: Mapping[str, Score], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``SCORE/DATASET`` → what the provenance of results says of imported numbers.

    `scores` are those that were run; what `before` says of others stays.
    """
    found = {place: said for place, said in before.items() if place.partition("/")[0] not in scores}
    for name, score in scores.items():
        if isinstance(score, Imported):
            found |= {f"{name}/{dataset}": said for dataset, said in score.numbers.origin.items()}
    return found
