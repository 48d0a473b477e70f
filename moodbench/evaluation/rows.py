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
from moodbench.paired import Sample
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
        """Return the places of ID rows and those of OOD rows that are compared, for the OOD datasets of a group.

        Where each class in turn is ID, `group` may name some of the classes; else all of them are compared.
        """
        each = self.roles.get("classes")
        if isinstance(each, dict):  # each class in turn is ID
            named = [title for title in each if title in group] or list(each)
            places = [place_of(f"{title}/{self.roles['id_test'][0]}") for title in named]
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

    def images(self, group: Sequence[str]) -> dict[str, NDArray[np.bytes_]]:
        """Return the ids, in order, of the images of each dataset that are compared for a group; by dataset."""
        ids, oods = self.cells(group)
        places = {_dataset(place): place for place in sorted({*oods, *(place for some in ids for place in some)})}
        return {name: self.kept.arrays[f"{place}/{IDS}"][self.orders[place]] for name, place in sorted(places.items())}

    def sides(self, group: Sequence[str], first: Mapping[str, int], images: int) -> list[NDArray[np.int8]]:
        """Return for each place what each of all images counts as in it, (images,); -1 for those that take no part."""
        ids, oods = self.cells(group)
        found = []
        for place in dict.fromkeys([*(place for some in ids for place in some), *oods]):
            side = np.full(images, -1, np.int8)
            at = first[_dataset(place)]
            side[at : at + len(self.orders[place])] = self.kept.arrays[f"{place}/{SIDE}"][self.orders[place]]
            found.append(side)
        return found

    def samples(
        self, score: str, params: str, group: Sequence[str], first: Mapping[str, int]
    ) -> tuple[list[Sample], list[Sample]] | None:
        """Return the ID and the OOD samples of a score over a group, as `moodbench.paired.measure` takes them.

        None where it lacks rows of one of its comparisons. `first` says of each dataset the number of its first image
        among all, in the order of their ids; classes in turn share their images.
        """
        values = self.kept.of(score, params)
        ids, oods = self.cells(group)
        if not {*oods, *(place for some in ids for place in some)} <= values.keys():
            return None

        def sample(place: str, side: int) -> Sample:
            scores, chosen = self._side(values, place, side)
            return Sample(scores, chosen + first[_dataset(place)])

        of_id = [_joined([sample(place, ID) for place in some]) for some in ids]
        return of_id, [sample(place, OOD) for place in oods]

    def scores_of(self, score: str, params: str, place: str, side: int, against: str | None = None) -> Array:
        """Return the scores of the rows of one place that count as `ID` or `OOD`, in the order of the images' ids.

        Of a transductive score, those in the stream of the OOD dataset `against`; others are the same in all of them.

        Raises
        ------
        KeyError
            There are none of this score with these parameters in this place.
        """
        values = self.kept.of(score, params) or self.kept.of(score, params, against)
        return self._side(values, place, side)[0]

    def images_of(self, place: str, side: int) -> tuple[str, ...]:
        """Return the ids of the images that `scores_of` has the scores of, in the same order."""
        order = self.orders[place]
        chosen = self.kept.arrays[f"{place}/{SIDE}"][order] == side
        return stored_texts(self.kept.arrays[f"{place}/{IDS}"][order][chosen].tolist())

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
