"""The score of every row that was not skipped, with what it was made from, in two forms.

``EXPORTED``, as ``<model>.scores.h5`` beside the results, to be read elsewhere:

==========================  ===========  ==============================================================================
``/<dataset>/<score>``      (N,) float32  with the attributes ``score`` and ``params``; under other parameters than the
                                         defaults it is called ``<score>[<params>]``. Benchmarks with one ID class at a
                                         time have ``/<class>/<dataset>/<score>``, with ``%``, ``/`` and NUL of
                                         all names written ``%25``, ``%2F`` and ``%00``, and ``.`` alone ``%2E``
``/<dataset>/ids``          (N,) UTF-8   the rows' ids
``/<dataset>/<score>@<ood>``  the same of a transductive score in the stream of an OOD dataset, with the attribute
                                         ``stream`` besides: its name; NaN for rows that have no part in it
attributes                               ``benchmark``, ``model``, ``inputs`` (caches, head, roles), each in JSON
==========================  ===========  ==============================================================================

``KEPT``, as ``scores/<benchmark>.h5`` among the caches, for what compares rows afterwards: nothing is rounded, scores
lie in ``/<dataset>/scores/<score>`` (N,) float64, and ``/<dataset>/side`` (N,) int8 says which rows count: 1 as ID, 0
as OOD, -1 as neither.

The file is sealed (`moodbench.features.seal`): every byte is compared before HDF5 sees it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moodbench.atomic import write_file
from moodbench.errors import ResultsError
from moodbench.features.hdf5 import UnreadableError, open_hdf5
from moodbench.features.seal import BLOCK, Seal, put_seal

IDS = "ids"
"""Beside the scores of a dataset; no score can be called so where scores lie beside it."""

SIDE = "side"
"""Which rows of a dataset count as what."""

ID, OOD, NEITHER = 1, 0, -1
"""What a row counts as."""

OWNER = ("benchmark", "model", "inputs")
"""Attributes of the file."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Form:
    """How scores lie in a file.

    Attributes
    ----------
    dtype : str
    folder : str
        Below a dataset's place, where its scores are; with a ``/`` at its end, or empty.
    """

    dtype: str
    folder: str


EXPORTED = Form("<f4", "")
KEPT = Form("<f8", "scores/")


class RowScores:
    """The content of one file.

    Attributes
    ----------
    owner : dict
        ``benchmark``, ``model``, and ``inputs``: what the scores were made from. Empty for a new file.
    arrays : dict of path to array
    attributes : dict of path to its attributes
    form : Form
    """

    def __init__(self, owner: Mapping[str, Any] | None = None, form: Form = EXPORTED) -> None:
        self.owner: dict[str, Any] = dict(owner or {})
        self.form = form
        self.arrays: dict[str, Array] = {}
        self.attributes: dict[str, dict[str, str]] = {}

    def put(
        self,
        dataset: str,
        ids: Array,
        values: Array,
        *,
        score: str,
        params: str,
        default: str,
        stream: str | None = None,
    ) -> None:
        """Put the scores of one dataset in place of those of this score with these parameters, which may be there.

        `dataset` is its name, or ``CLASS/DATASET`` for those of a class in turn, whose title may be any text; `ids` as
        `as_bytes` makes them; `stream` the OOD dataset of whose stream they are.
        """
        if score == IDS and not self.form.folder:
            raise ResultsError(f"a score called '{IDS}' cannot be saved", fix="give it another name")
        place = place_of(dataset)
        path = f"{place}/{self.form.folder}{row_key(score, params, default)}"
        path += "" if stream is None else f"@{_part(stream)}"
        self.arrays[path] = values.astype(self.form.dtype)
        self.attributes[path] = {"score": score, "params": params} | ({} if stream is None else {"stream": stream})
        self.arrays[f"{place}/{IDS}"] = ids

    def put_sides(self, sides: Mapping[str, Array]) -> None:
        """Say of every row of datasets, called as in `put`, what it counts as."""
        for dataset, side in sides.items():
            self.arrays[f"{place_of(dataset)}/{SIDE}"] = side.astype("i1")

    def drop(self, score: str, params: str) -> None:
        """Take out the scores of all datasets of this score with these parameters."""
        its = [
            path for path, said in self.attributes.items() if (said.get("score"), said.get("params")) == (score, params)
        ]
        for path in its:
            del self.arrays[path], self.attributes[path]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Every score with its parameters that there are rows of, in the order of the file."""
        said = (each for each in self.attributes.values() if "score" in each)
        return list(dict.fromkeys((each["score"], each["params"]) for each in said))

    def of(self, score: str, params: str, stream: str | None = None) -> dict[str, Array]:
        """Return the scores of all rows, by the datasets' places; of a transductive score those of a `stream`."""
        wanted = {"score": score, "params": params} | ({} if stream is None else {"stream": stream})
        inside = -2 if self.form.folder else -1
        its = (path for path, said in self.attributes.items() if said == wanted)
        return {"/".join(path.split("/")[:inside]): self.arrays[path] for path in its}


def as_bytes(ids: Sequence[str]) -> Array:
    """Return ids as they are stored, (N,) bytes."""
    return np.array([name.encode("utf-8", "surrogateescape") for name in ids], dtype=np.bytes_)


def place_of(dataset: str) -> str:
    """Return where a dataset's scores lie: of ``CLASS/DATASET`` below the class, whose title may be any text."""
    title, slash, name = dataset.rpartition("/")
    return _part(title) + slash + _part(name)


def row_key(score: str, params: str, default: str) -> str:
    """Return what a score is called within a dataset: with its parameters, unless they are the defaults."""
    return _part(score if params == default else f"{score}[{params}]")


def _part(name: str) -> str:
    """Return a name as one part of a path in HDF5, for which ``/`` parts names, ``.`` is no name, and NUL ends one."""
    if name in (".", ".."):
        return name.replace(".", "%2E")
    return name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")


def read_row_scores(file: Path, form: Form = EXPORTED) -> RowScores | None:
    """Return what the file holds; None where it is from before row scores noted what they were made from.

    Raises
    ------
    ResultsError
        It is none of ours, or was changed after it was written.
    """
    try:
        looked: list[RowScores] = []
        seal = open_hdf5(file, lambda h5, seal: looked.append(_collect(h5, seal, form)))
    except (OSError, UnreadableError) as error:
        raise _unreadable(file, str(error), form) from None
    (found,) = looked
    if seal is None and (found.owner or form is KEPT):
        raise _unreadable(file, "its seal is damaged", form)
    return None if seal is None else found


def _collect(h5: Any, seal: Seal | None, form: Form) -> RowScores:
    found = RowScores({name: json.loads(h5.attrs[name]) for name in OWNER if name in h5.attrs}, form)

    def collect(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.arrays[path] = item[:]
            found.attributes[path] = {name: str(item.attrs[name]) for name in item.attrs}

    if seal is not None:
        h5.visititems(collect)
    return found


def write_row_scores(file: Path, scores: RowScores) -> None:
    """Write the file, whole or not at all; equal scores give equal bytes.

    It is made in memory: HDF5 itself may crash on a full disk.

    Raises
    ------
    ResultsError
        The file system refuses.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="earliest", userblock_size=BLOCK) as h5:
        for name in sorted(scores.owner):
            h5.attrs[name] = json.dumps(scores.owner[name], sort_keys=True)
        for path in sorted(scores.arrays):
            array = scores.arrays[path]
            kind = h5py.string_dtype("utf-8", array.dtype.itemsize) if path.endswith(f"/{IDS}") else array.dtype
            h5[path] = array.astype(kind)
            for name, value in sorted(scores.attributes.get(path, {}).items()):
                h5[path].attrs[name] = value
    put_seal(memory)
    write_file(file, memory.getbuffer())


def _unreadable(file: Path, why: str, form: Form) -> ResultsError:
    what = f"the row scores cannot be read: {why}"
    if form is KEPT:
        return ResultsError(what, file=file, fix="run the same moodbench score again: it writes them anew")
    return ResultsError(what, file=file, fix="move the file away, or leave out --save-scores")
