"""What an import of scores is given: a number an image, in the form that other programs write."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.errors import DataError, UsageError
from moodbench.features.arrays import load_arrays
from moodbench.features.hdf5 import UnreadableError, open_hdf5
from moodbench.features.npy import StoredArray, held
from moodbench.features.texts import read_texts
from moodbench.reading import check_regular, open_regular, read_text
from moodbench.sizes import many

MOST_ROWS = 20_000_000
MOST_NAMED = 5
"""Ids that a message names; it counts more of them."""

SUFFIXES = (".csv", ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle")

_IDS, _SCORES = ("id", "ids"), ("score", "scores")
_FORM = "a CSV with columns id and score, a .npz or HDF5 file with arrays ids and scores, or a .npy of scores"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GivenScores:
    """The numbers of a file, (N,), in its order, and the ids of their images where it has some."""

    file: Path
    values: Array
    ids: list[str] | None

    def matched_by_id(self, wanted: Sequence[str], everyone: Sequence[str]) -> tuple[Array, list[str]]:
        """Return the numbers of the images `wanted`, (n,), and the ids of the file that are none of `everyone`.

        Raises
        ------
        DataError
            It has no ids, one twice, or no number for an image; or a number is not finite.
        """
        if self.ids is None:
            raise DataError(
                "the file does not say which images its numbers are of",
                file=self.file,
                fix="give each its id, as in a CSV with columns id and score, or say --by-order where they are in the "
                "order of the cache",
            )
        twice = [name for name, count in Counter(self.ids).items() if count > 1]
        if twice:
            raise DataError(
                f"{many(len(twice), 'id')} of the file {'occurs' if len(twice) == 1 else 'occur'} more than once: "
                f"{named(twice)}",
                file=self.file,
                fix="each image has one number",
            )
        known = dict(zip(self.ids, self.values.tolist(), strict=True))
        missing = [name for name in wanted if name not in known]
        if missing:
            alike = "" if len(missing) < len(wanted) else f"; the ids of the file look like '{self.ids[0][:80]}'"
            raise DataError(
                f"the file has no number for {len(missing)} of {many(len(wanted), 'image')}: {named(missing)}{alike}",
                file=self.file,
                fix="ids are those of the cache: paths below the dataset's folder, or running numbers"
                + ("; --by-order goes by the order of rows" if len(missing) == len(wanted) else ""),
            )
        there = set(everyone)
        return self._finite(np.array([known[name] for name in wanted]), wanted), [i for i in self.ids if i not in there]

    def matched_by_order(self, ids: Sequence[str], done: NDArray[np.bool_]) -> Array:
        """Return the numbers of the rows that are `done`, (N,), of a cache with these ids.

        Raises
        ------
        DataError
            It has more or fewer rows than the cache, ids that say another order, or a number that is not finite.
        """
        if len(self.values) != len(ids):
            raise DataError(
                f"the file has {many(len(self.values), 'row')} and the cache {len(ids)}: they cannot be matched by "
                "their order",
                file=self.file,
                fix="give every image its id, and leave out --by-order",
            )
        elsewhere = self._elsewhere(ids)
        if elsewhere:
            alike = self.ids is not None and set(self.ids) == set(ids)
            what = "are those of the cache" if alike else f"have {len(elsewhere)} of the cache"
            raise DataError(
                f"the ids of the file {what} in another order: {named(elsewhere)}",
                file=self.file,
                fix="leave out --by-order" + ("" if alike else ", and give every image of the cache a number"),
            )
        return self._finite(self.values[done], [name for name, there in zip(ids, done, strict=True) if there])

    def _elsewhere(self, ids: Sequence[str]) -> list[str]:
        """Return the ids of the file that the cache has at another row.

        Numbers are counted from 0 or 1, so they say another order only where all of them are those of the cache.
        """
        if self.ids is None or self.ids == list(ids):
            return []
        there = set(ids)
        same = there == set(self.ids)
        pairs = zip(self.ids, ids, strict=True)
        return [its for its, own in pairs if its != own and its in there and (same or not its.isdecimal())]

    def _finite(self, values: Array, ids: Sequence[str]) -> Array:
        bad = np.flatnonzero(~np.isfinite(values)).tolist()
        if len(bad):
            raise DataError(
                f"the scores of {many(len(bad), 'image')} are NaN or infinite: {named([ids[i] for i in bad])}",
                file=self.file,
                fix="every image needs a number; for infinity write one beyond all others",
            )
        return values


def named(ids: Sequence[str]) -> str:
    """Return the first few ids, and how many more there are."""
    shown = ", ".join(f"'{name[:80]}'" for name in ids[:MOST_NAMED])
    return shown + (f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else "")


def read_given_scores(file: Path) -> GivenScores:
    """Read scores, and ids where they are there, from a file of one of `SUFFIXES`.

    Raises
    ------
    UsageError
        It is of another kind.
    DataError
        It cannot be read, or holds something else.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        if file.is_dir():  # which has no suffix as a rule
            check_regular(file, "what is imported", DataError)
        raise UsageError(f"'{suffix}' files cannot be imported as scores", fix=f"bring {_FORM}")
    if suffix == ".csv":
        values, ids = _csv(file)
    else:
        arrays = _hdf5(file) if suffix in (".h5", ".hdf5") else _arrays(file)
        values = _numbers(file, arrays["scores"])
        if "ids" in arrays and arrays["ids"].shape != values.shape:
            raise DataError(
                f"{many(len(values), 'score')}, but 'ids' of shape {arrays['ids'].shape}",
                file=file,
                fix=f"bring {_FORM}",
            )
        ids = read_texts(file, "ids", arrays["ids"], len(values)) if "ids" in arrays else None
    if not len(values):
        raise DataError("the file has no rows", file=file, fix="every image of the dataset needs a number")
    return GivenScores(file, values, ids)


def _csv(file: Path) -> tuple[Array, list[str] | None]:
    text = read_text(file, "the file with scores", DataError)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heads = [head.strip().lower() for head in next(reader, [])]
        score, name = _column(heads, _SCORES, file), _column(heads, _IDS, file)
        if score is None:
            other = next((word for sign, word in ((";", "semicolons"), ("\t", "tabulators")) if sign in text[:200]), "")
            raise DataError(
                f"the file has no column 'score'; its first line has {named(heads) or 'nothing'}",
                file=file,
                fix=f"part columns by commas, not {other}" if other and len(heads) == 1 else "name columns: id,score",
            )
        values: list[float] = []
        ids: list[str] = []
        for row in reader:
            if not row or not any(map(str.strip, row)):
                continue
            if len(row) != len(heads):
                raise DataError(
                    f"line {reader.line_num} has {many(len(row), 'cell')}, and there are {len(heads)} columns",
                    file=file,
                    fix="part columns by commas, with a point in decimals, and put a cell with a comma in quotes",
                )
            try:
                values.append(float(row[score]))
            except ValueError:
                what = f"line {reader.line_num} has '{row[score][:40]}' where a score should be"
                raise DataError(what, file=file, fix="every image needs a number") from None
            if name is not None:
                ids.append(row[name].strip())
    except csv.Error as error:
        raise DataError(f"line {reader.line_num} is not CSV ({error})", file=file) from None
    return np.array(values, np.float64), None if name is None else ids


def _column(heads: Sequence[str], names: Sequence[str], file: Path) -> int | None:
    found = [i for i, head in enumerate(heads) if head in names]
    if len(found) > 1:
        raise DataError(f"the file has two columns '{names[0]}'", file=file, fix="rename or remove one")
    return found[0] if found else None


def _arrays(file: Path) -> dict[str, StoredArray]:
    """Return what ``.npz``, ``.npy`` or a pickle has of `scores` and `ids`; a single array is the scores."""
    raw = load_arrays(file)
    if list(raw) == ["features"]:  # as the only array of a file is called
        return {"scores": raw["features"]}
    return {key: raw[name] for key, name in _which(file, list(raw)).items()}


def _which(file: Path, there: Sequence[str]) -> dict[str, str]:
    """Return where `scores` and `ids` are among the arrays of a file."""
    found = {}
    for key, names in (("scores", _SCORES), ("ids", _IDS)):
        its = [name for name in names if name in there]
        if len(its) > 1:
            raise DataError(f"the file has both '{its[0]}' and '{its[1]}'", file=file, fix="remove one")
        if its:
            found[key] = its[0]
    if "scores" not in found:
        what = f"the file has no array 'scores'; it holds {named(sorted(there)) or 'nothing'}"
        raise DataError(what, file=file, fix=f"bring {_FORM}")
    return found


def _hdf5(file: Path) -> dict[str, StoredArray]:
    open_regular(file, "the file with scores", DataError).close()
    found: list[dict[str, StoredArray]] = []

    def inspect(h5: Any, seal: object) -> None:
        arrays = [name for name in h5 if isinstance(h5.get(name), h5py.Dataset)]
        taken = {key: h5[name] for key, name in _which(file, arrays).items()}
        for key, item in taken.items():
            if item.ndim != 1 or item.shape[0] > MOST_ROWS:
                what = f"'{key}' should have the shape (N,), found {item.shape}"
                raise DataError(what, file=file, fix=f"bring {_FORM}")
        found.append({key: held(item[:]) for key, item in taken.items()})

    try:
        open_hdf5(file, inspect)
    except UnreadableError as error:
        raise DataError(f"no scores can be read from this file: {error}", file=file) from None
    return found[-1]


def _numbers(file: Path, array: StoredArray) -> Array:
    if len(array.shape) != 1 or array.dtype.kind not in "fiu" or array.shape[0] > MOST_ROWS:
        what = f"scores should be numbers of shape (N,), a number an image; found {array.dtype} {array.shape}"
        raise DataError(what, file=file, fix=f"bring {_FORM}")
    return array.whole().astype(np.float64)
