"""``<model>.scores.h5``: the score of every row that was not skipped, with what it was made from.

==========================  ===========  ==============================================================================
``/<dataset>/<score>``      (N,) float32  with the attributes ``score`` and ``params``; under other parameters than the
                                         defaults it is called ``<score>[<params>]``. Benchmarks with one ID class at a
                                         time have ``/<class>/<dataset>/<score>``
``/<dataset>/ids``          (N,) UTF-8   the rows' ids
attributes                               ``benchmark``, ``model``, ``inputs`` (caches, head, roles), each in JSON
==========================  ===========  ==============================================================================

The first 512 bytes, which HDF5 leaves to the user, hold a line of text with the SHA-256 of the rest: it is checked
before HDF5 sees the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moodbench.errors import ResultsError
from moodbench.results import write_atomic
from moodbench.results.notes import sha256

IDS = "ids"
"""Beside the scores of a dataset; no score can be called so."""

_TITLE = b"moodbench row scores, schema 2, sha256 "
_BLOCK = 512
_HDF5 = b"\x89HDF\r\n\x1a\n"

Array = np.ndarray[Any, Any]


class RowScores:
    """The content of one file.

    Attributes
    ----------
    owner : dict
        ``benchmark``, ``model``, and ``inputs``: what the scores were made from. Empty for a new file.
    arrays : dict of path to array
    attributes : dict of path to its attributes
    """

    def __init__(self, owner: Mapping[str, Any] | None = None) -> None:
        self.owner: dict[str, Any] = dict(owner or {})
        self.arrays: dict[str, Array] = {}
        self.attributes: dict[str, dict[str, str]] = {}

    def put(self, dataset: str, ids: Sequence[str], values: Array, *, score: str, params: str, default: str) -> None:
        """Put the scores of one dataset in place of those of this score with these parameters, which may be there."""
        if score == IDS:
            raise ResultsError(f"a score called '{IDS}' cannot be saved", fix="give it another name")
        path = f"{dataset}/{row_key(score, params, default)}"
        names = [name.encode("utf-8", "surrogateescape") for name in ids]
        self.arrays[path] = values.astype("<f4")
        self.attributes[path] = {"score": score, "params": params}
        self.arrays[f"{dataset}/{IDS}"] = np.array(names, dtype=np.bytes_)


def row_key(score: str, params: str, default: str) -> str:
    """Return what a score is called within a dataset: with its parameters, unless they are the defaults."""
    return score if params == default else f"{score}[{params}]".replace("/", "%2F")


def read_row_scores(file: Path) -> RowScores | None:
    """Return what the file holds; None where it is from before row scores noted what they were made from.

    Raises
    ------
    ResultsError
        It is none of ours, or was changed after it was written.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error.strerror) from None
    if data.startswith(_HDF5):
        return None
    title, digest = data[: len(_TITLE)], data[len(_TITLE) : len(_TITLE) + 64]
    if title != _TITLE:
        raise _unreadable(file, "this is no file of moodbench")
    if digest != sha256(data[_BLOCK:]).encode():
        raise _unreadable(file, "they were changed after they were written, and do not match their SHA-256")
    found = RowScores()
    with h5py.File(io.BytesIO(data), "r") as h5:
        found.owner = {name: json.loads(h5.attrs[name]) for name in h5.attrs}

        def collect(path: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found.arrays[path] = item[:]
                found.attributes[path] = {name: str(item.attrs[name]) for name in item.attrs}

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
    with h5py.File(memory, "w", libver="earliest", userblock_size=_BLOCK) as h5:
        for name in sorted(scores.owner):
            h5.attrs[name] = json.dumps(scores.owner[name], sort_keys=True)
        for path in sorted(scores.arrays):
            array = scores.arrays[path]
            kind = h5py.string_dtype("utf-8", array.dtype.itemsize) if path.endswith(f"/{IDS}") else array.dtype
            h5[path] = array.astype(kind)
            for name, value in sorted(scores.attributes.get(path, {}).items()):
                h5[path].attrs[name] = value
    data = bytearray(memory.getvalue())
    title = _TITLE + sha256(bytes(data[_BLOCK:])).encode() + b"\n"
    data[: len(title)] = title
    write_atomic(file, memoryview(data))


def _unreadable(file: Path, why: str | None) -> ResultsError:
    return ResultsError(
        f"the row scores cannot be read: {why}", file=file, fix="move the file away, or leave out --save-scores"
    )
