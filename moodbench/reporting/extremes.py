"""The images that a score takes for what they are not: OOD images most like ID, ID images most like OOD.

Scores of rows are those that ``score`` kept; images are looked for on this disk, and shown only where they are those
that were scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from moodbench.datasets.images import ImageSource, open_images
from moodbench.errors import DataError, MoodbenchError
from moodbench.features.rowscores import ID, OOD
from moodbench.reporting.thumbnails import EDGE, Thumbnail, thumbnail
from moodbench.types import ALL_GROUPS

if TYPE_CHECKING:
    from moodbench.evaluation.rows import TestRows
    from moodbench.workspace import Workspace


@dataclass(frozen=True)
class Shot:
    """One image.

    Attributes
    ----------
    image : str
        Its id: a path below the dataset's folder, or the name of a bundled image.
    value : float
        Its score.
    share : float
        Of an OOD image the share of ID images that score lower, of an ID image the share that score higher.
    thumbnail : Thumbnail or None
        None where there is no picture of it here.
    """

    image: str
    value: float
    share: float
    thumbnail: Thumbnail | None


@dataclass(frozen=True)
class Gallery:
    """The most deceptive images of one dataset.

    Attributes
    ----------
    dataset : str
    is_id : bool
    images : int
        How many there are in all.
    mistaken : float
        The share of them on the wrong side of the threshold that keeps 95 % of the ID images (FPR95 of an OOD
        dataset; 5 % of all ID images together).
    shots : tuple of Shot
        The worst first.
    why_none, fix : str
        Why there are no pictures of them, and what to do about it; empty where there are.
    """

    dataset: str
    is_id: bool
    images: int
    mistaken: float
    shots: tuple[Shot, ...]
    why_none: str = ""
    fix: str = ""


class Album:
    """The images of datasets that are on this disk and are those that were scored; each dataset is looked at once."""

    def __init__(self, space: Workspace, provenance: Mapping[str, Any]) -> None:
        self._space = space
        self._datasets: Mapping[str, Any] = provenance.get("datasets", {})
        self.of = cache(self._open)

    def _open(self, dataset: str) -> tuple[ImageSource, dict[str, int]]:
        """Return the images of a dataset, and where each id is among them.

        Raises
        ------
        DataError
            They are not here, or are others than those that were scored.
        """
        spec = self._space.catalog.datasets.get(dataset)
        if spec is None:
            raise DataError(f"the catalogue does not know '{dataset}', nor where its images are", fix="--catalog FILE")
        source = open_images(spec, self._space.data_dir)
        noted = self._datasets.get(dataset, {}).get("provenance", {}).get("images", {}).get("fingerprint")
        if noted is not None and noted != source.fingerprint:
            raise DataError(
                f"the images of '{dataset}' on this disk are not those that were scored",
                fix="bring back the images that were scored, or extract and score those that are here",
            )
        return source, {name: number for number, name in enumerate(source.ids)}

    def strange(self, dataset: str, images: Sequence[str]) -> bool:
        """Say whether none of these images of a dataset is on this disk, by its name."""
        _, places = self.of(dataset)
        return not any(image in places for image in images)

    def picture(self, dataset: str, image: str) -> Thumbnail | None:
        """Return one image small; None where it cannot be decoded any more, or has another name here."""
        source, places = self.of(dataset)
        if image not in places:
            return None
        try:
            return thumbnail(source.load(places[image], EDGE))
        except (MoodbenchError, OSError, ValueError):
            return None


def galleries(rows: TestRows, score: str, params: str, album: Album, most: int) -> list[Gallery]:
    """Return the most ID-like images of each OOD dataset, then the most OOD-like ones of each ID dataset.

    Parameters
    ----------
    rows : TestRows
        Of one model.
    score, params : str
        Which of its scores.
    album : Album
    most : int
        Images of each dataset.
    """
    in_turn = rows.roles.get("classes")
    each = isinstance(in_turn, dict)  # each class in turn is ID, and stands for an OOD dataset
    oods = list(in_turn) if isinstance(in_turn, dict) else rows.of_group(ALL_GROUPS)
    of_id, of_ood = rows.cells(oods)
    found: list[Gallery] = []
    id_galleries: dict[str, Gallery] = {}
    for number, (name, place) in enumerate(zip(oods, of_ood, strict=True)):
        places = of_id[number if each else 0]
        id_scores = np.concatenate([rows.scores_of(score, params, one, ID, name) for one in places])
        ranked = np.sort(id_scores)
        threshold = ranked[len(ranked) - max(19 * len(ranked) // 20, 1)]
        found.append(_gallery(rows, (score, params), name, place, OOD, ranked, threshold, album, most))
        for one in places:
            if one not in id_galleries:
                title = name if each else _dataset(one)
                id_galleries[one] = _gallery(rows, (score, params), title, one, ID, ranked, threshold, album, most)
    return [*found, *id_galleries.values()]


def _gallery(
    rows: TestRows,
    of: tuple[str, str],
    name: str,
    place: str,
    side: int,
    ranked: np.ndarray[Any, np.dtype[np.float64]],
    threshold: float,
    album: Album,
    most: int,
) -> Gallery:
    """Return the gallery of the rows of one place; `ranked` are the ID scores that they are compared with, sorted."""
    scores, images = rows.scores_of(*of, place, side), rows.images_of(place, side)
    is_id = side == ID
    order = np.argsort(scores if is_id else -scores, kind="stable")[:most]
    below = np.searchsorted(ranked, scores[order], "left") / len(ranked)
    above = 1 - np.searchsorted(ranked, scores[order], "right") / len(ranked)
    dataset, why, fix = _dataset(place), "", ""
    try:
        if most:
            album.of(dataset)
    except DataError as error:
        why, fix = error.what, error.fix or ""
    shots = tuple(
        Shot(
            images[row],
            float(scores[row]),
            float(share),
            None if why else album.picture(dataset, images[row]),
        )
        for row, share in zip(order, above if is_id else below, strict=True)
    )
    if shots and not why and album.strange(dataset, [shot.image for shot in shots]):
        why = f"the rows of '{dataset}' have other names than the images on this disk"
        fix = (
            "features that were extracted from these images have pictures; imported ones have them if they bring 'ids'"
        )
    wrong = scores < threshold if is_id else scores >= threshold
    return Gallery(name, is_id, len(scores), float(np.mean(wrong)), shots, why, fix)


def _dataset(place: str) -> str:
    return place.rpartition("/")[2]
