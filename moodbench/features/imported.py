"""Scores that somebody else's method computed: a number an image, kept beside the caches of a model.

``imported/<score>/<dataset>.h5`` holds them as they were given, sealed (`moodbench.features.seal`):

==================  ===========  ======================================================================================
``/scores``         (N,) float64  of the dataset's images that could be decoded, in the order of its cache
``/ids``            (N,) UTF-8   whose they are: scoring matches them with the ids of the cache that is there then
attributes                       ``model``, ``dataset``, ``score``, ``family``, ``orientation`` (``id``: higher is more
                                 in-distribution), ``file`` and ``sha256`` of what they were read from, ``matched``
                                 (``id`` or ``order``), ``schema``
==================  ===========  ======================================================================================

A method without features needs the names and labels of images all the same. A cache whose provenance has the source
`ROWS` holds nothing else: ids, labels and status of another model's rows, and a column of zeros in place of features.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.atomic import replace_file
from moodbench.choices import Positive
from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.hdf5 import UnreadableError, open_hdf5, stored_texts
from moodbench.features.rowscores import as_bytes
from moodbench.features.seal import BLOCK, Seal, put_seal
from moodbench.types import FAMILIES, Family
from moodbench.workspace import ModelName

SCHEMA = 1

ROWS = "rows"
"""The `source` of a cache that has no features, for a method that has none."""

Matched = Literal["id", "order"]
"""How rows of a file were matched with images."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Origin:
    """What is said of imported numbers.

    Attributes
    ----------
    model, dataset, score : str
        Whose they are.
    family : Family
    orientation : {"id", "ood"}
        What higher numbers mean.
    file, sha256 : str
        Name and digest of the file that they were read from.
    matched : {"id", "order"}
        How its rows were matched with images.
    """

    model: str
    dataset: str
    score: str
    family: Family
    orientation: Positive
    file: str
    sha256: str
    matched: Matched


@dataclass(frozen=True)
class ImportedScores:
    """The numbers of one method for the images of one dataset: ids (N,), values (N,) as they were given."""

    origin: Origin
    ids: tuple[str, ...]
    values: Array

    @property
    def contents(self) -> str:
        """SHA-256 in hex of what results depend on: ids, and numbers of which higher means more in-distribution."""
        digest = hashlib.sha256(f"{self.origin.family}\0".encode())
        digest.update("\0".join(self.ids).encode("utf-8", "surrogateescape"))
        digest.update(self.oriented.astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def oriented(self) -> Array:
        """The numbers with higher = more in-distribution, (N,)."""
        return -self.values if self.origin.orientation == "ood" else self.values

    def of(self, ids: Sequence[str]) -> tuple[Array, list[str]]:
        """Return oriented numbers for these images, (n,), NaN where there is none, and the ids of those."""
        known = dict(zip(self.ids, self.oriented.tolist(), strict=True))
        missing = [name for name in ids if name not in known]
        return np.array([known.get(name, np.nan) for name in ids]), missing


def has_features(provenance: Mapping[str, Any]) -> bool:
    """Say whether a cache with this provenance has features, and not the names of rows alone."""
    return provenance.get("source") != ROWS


def refuse_without_features(file: Path, provenance: Mapping[str, Any]) -> None:
    """Raise a `CacheError` if a cache has no features, for whatever needs some."""
    if not has_features(provenance):
        raise CacheError(
            "there are no features here, only the names of images that imported scores are of",
            file=file,
            fix="use a model with features: moodbench extract or import makes caches of them",
        )


def write_imported(file: Path, scores: ImportedScores) -> None:
    """Write the file, whole or not at all; equal scores give equal bytes.

    Raises
    ------
    CacheError
        The file system refuses.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="earliest", userblock_size=BLOCK) as h5:
        h5.attrs["schema"] = np.int64(SCHEMA)
        for field in fields(Origin):
            h5.attrs[field.name] = getattr(scores.origin, field.name)
        ids = as_bytes(scores.ids)
        h5["ids"] = ids.astype(h5py.string_dtype("utf-8", max(1, ids.dtype.itemsize)))
        h5["scores"] = scores.values.astype("<f8")
    put_seal(memory)
    try:
        replace_file(file, memory.getbuffer())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        fix = "make room or choose another --cache-dir"
        raise CacheError(f"the imported scores cannot be written: {reason}", file=file, fix=fix) from None


def read_imported(file: Path) -> ImportedScores:
    """Return what a file in its place holds.

    Raises
    ------
    CacheError
        It is damaged, none of ours, or of a schema that this version does not know.
    CacheMismatchError
        It belongs to another model, dataset or score than its path says.
    """
    try:
        looked: list[ImportedScores] = []
        seal = open_hdf5(file, lambda h5, seal: looked.append(_collect(h5, seal)))
        if seal is None:
            raise UnreadableError("it has no seal")
    except (OSError, UnreadableError) as error:
        raise CacheError(
            f"the imported scores cannot be read: {error}", file=file, fix="import them again: moodbench import-scores"
        ) from None
    (found,) = looked
    origin = found.origin
    place = (ModelName.parse(origin.model).folder, origin.score, origin.dataset)
    if place != (file.parents[2].name, file.parent.name, file.stem):
        raise CacheMismatchError(
            f"these are scores '{origin.score}' of '{origin.model}' on '{origin.dataset}', in another's place",
            file=file,
            fix="put the file back where it belongs, or import again under the new name",
        )
    return found


def _collect(h5: Any, seal: Seal | None) -> ImportedScores:
    if seal is None:
        raise UnreadableError("its seal is damaged")
    schema = int(h5.attrs["schema"])
    if schema != SCHEMA:
        raise UnreadableError(f"its schema is {schema}, and this version of moodbench knows {SCHEMA}")
    said: dict[str, Any] = {field.name: str(h5.attrs[field.name]) for field in fields(Origin)}
    words = {"family": FAMILIES, "orientation": get_args(Positive), "matched": get_args(Matched)}
    for name, known in words.items():
        if said[name] not in known:
            raise UnreadableError(f"its {name} is '{said[name]}'")
    return ImportedScores(Origin(**said), stored_texts(h5["ids"][:].tolist()), h5["scores"][:].astype(np.float64))
