"""The test rows of one model on one benchmark as `score` kept them, in an order that all models share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import ResultsError
from moodbench.features.hdf5 import stored_texts
from moodbench.features.rowscores import ID, IDS, OOD, SIDE, RowScores, place_of
from moodbench.paired import Measured, Sample, measure
from moodbench.types import ALL_GROUPS

Array = NDArray[np.float64]
MOST_NAMED = 3


@dataclass(frozen=True)
class TestRows:
    """What is kept of one model on one benchmark.

    Attributes
    ----------
    model : str
    kept : RowScores
    """

    __test__ = False  # pytest takes it for a test

    model: str
    kept: RowScores

    @property
    def roles(self) -> Mapping[str, Any]:
        """What the benchmark was: ``id_test``, ``ood``, ``classes``."""
        roles: Mapping[str, Any] = self.kept.owner["inputs"]["benchmark"]
        return roles

    @cached_property
    def orders(self) -> dict[str, NDArray[np.intp]]:
        """For each place in the file: its rows by image id."""
        places = [path.removesuffix(f"/{IDS}") for path in self.kept.arrays if path.endswith(f"/{IDS}")]
        return {place: np.argsort(self.kept.arrays[f"{place}/{IDS}"], kind="stable") for place in places}

    def of_group(self, group: str) -> list[str]:
        """Return the OOD datasets of a group, or of all."""
        oods: Mapping[str, Sequence[str]] = self.roles["ood"]
        some = oods.values() if group == ALL_GROUPS else [oods.get(group, ())]
        return list(dict.fromkeys(name for names in some for name in names))

    def cells(self, group: Sequence[str]) -> tuple[list[list[str]], list[str]]:
        """Return the places of ID rows and those of OOD rows that are compared, for the OOD datasets of a group."""
        each = self.roles.get("classes")
        if isinstance(each, dict):  # each class in turn is ID
            places = [place_of(f"{title}/{self.roles['id_test'][0]}") for title in each]
            return [[place] for place in places], places
        return [[place_of(name) for name in self.roles["id_test"]]], [place_of(name) for name in group]

    def refuse_others(self, other: TestRows, group: Sequence[str]) -> None:
        """Raise a `ResultsError` unless the other model has scores of the same images, on the same sides."""
        ids, oods = self.cells(group)
        for place in dict.fromkeys([*(one for some in ids for one in some), *oods]):
            mine, theirs = (self._named(place), other._named(place))
            if mine != theirs:
                apart = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
                some = ", ".join(f"'{name}'" for name in apart[:MOST_NAMED]) + (
                    ", …" if len(apart) > MOST_NAMED else ""
                )
                raise ResultsError(
                    f"'{self.model}' and '{other.model}' were tested on other images of '{place}': {len(apart)} are not"
                    f" on the same side of both, as {some}",
                    fix="extract and score both from the same images, or rank one of them alone with --model",
                )

    def _named(self, place: str) -> dict[str, int]:
        ids = stored_texts(self.kept.arrays[f"{place}/{IDS}"].tolist())
        return dict(zip(ids, self.kept.arrays[f"{place}/{SIDE}"].tolist(), strict=True))

    def measured(self, score: str, params: str, group: Sequence[str]) -> Measured | None:
        """Return the mean AUROC of a score over a group; None where it lacks rows of one of its comparisons."""
        values = self.kept.of(score, params)
        ids, oods = self.cells(group)
        places = {*oods, *(place for some in ids for place in some)}
        if not places <= values.keys():
            return None
        first: dict[str, int] = {}  # of each dataset's images among all; classes in turn share theirs
        images = 0
        for dataset, place in sorted({_dataset(place): place for place in sorted(places)}.items()):
            first[dataset] = images
            images += len(self.orders[place])

        def sample(place: str, side: int) -> Sample:
            scores, chosen = self._side(values, place, side)
            return Sample(scores, chosen + first[_dataset(place)])

        of_id = [_joined([sample(place, ID) for place in some]) for some in ids]
        return measure(of_id, [sample(place, OOD) for place in oods], images)

    def scores_of(self, score: str, params: str, place: str, side: int) -> Array:
        """Return the scores of the rows of one place that count as `ID` or `OOD`, in the order of the images' ids.

        Raises
        ------
        KeyError
            There are none of this score with these parameters in this place.
        """
        return self._side(self.kept.of(score, params), place, side)[0]

    def _side(self, values: Mapping[str, Any], place: str, side: int) -> tuple[Array, NDArray[np.intp]]:
        order = self.orders[place]
        chosen = np.flatnonzero(self.kept.arrays[f"{place}/{SIDE}"][order] == side)
        scores = values[place][order][chosen]
        # a row without a number is an error, as it is in the results
        return np.where(np.isnan(scores), -np.inf if side == ID else np.inf, scores), chosen


def _dataset(place: str) -> str:
    return place.rpartition("/")[2]


def _joined(samples: Sequence[Sample]) -> Sample:
    return Sample(np.concatenate([one.scores for one in samples]), np.concatenate([one.images for one in samples]))
