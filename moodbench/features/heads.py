"""Heads on disk: ``head.h5`` (a model's own) and ``heads/<name>.h5``, and head files that people bring."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moodbench.atomic import replace_file
from moodbench.errors import CacheError, CacheMismatchError, ModelError, MoodbenchError
from moodbench.features.hdf5 import UnreadableError, open_hdf5
from moodbench.features.headfile import FORM, as_head, given_arrays
from moodbench.features.lock import exclusive, is_written
from moodbench.features.npy import RATIO, ROOM
from moodbench.features.seal import BLOCK, Seal, put_seal
from moodbench.features.texts import MOST_CLASSES, MOST_NAME
from moodbench.shard_names import unfinished
from moodbench.types import TEXTS, Head

SCHEMA = 2
READABLE = (1, 2)
"""Of a head file: from 2 on it has a seal, which covers every byte, and says whose head it is."""

MOST_BYTES = 1 << 32
"""Of an array of a head; the largest published ones have a hundred megabytes."""

_NOTES = "notes"
"""The group of an HDF5 file with lists of texts about the head: an attribute has room for 64 kB."""


@dataclass(frozen=True)
class _StoredHead:
    """What an HDF5 file holds: the arrays, and what is said about them."""

    weight: np.ndarray[Any, Any]
    bias: np.ndarray[Any, Any]
    names: tuple[str, ...] | None
    texts: Mapping[str, np.ndarray[Any, Any]]
    schema: int | None
    attributes: Mapping[str, str]
    notes: Mapping[str, tuple[str, ...]]


def read_head(file: Path) -> Head:
    """Read a head from ``.h5`` or ``.npz`` (arrays `weight` and `bias`) or the reference's pickle of ``[W, b]``.

    The names of its classes are in the array `classes`, if anywhere; texts that belong to it in those of
    `moodbench.types.TEXTS`.

    Raises
    ------
    ModelError
        The file is missing, damaged, of another kind, or its arrays are no linear head.
    """
    try:
        weight, bias, names, texts = _arrays(file)
    except FileNotFoundError:
        raise ModelError("there is no such head file", file=file) from None
    except ModelError:
        raise
    except MoodbenchError as error:  # of one of its arrays
        raise ModelError(f"no head can be read from this file: {error.what}", file=file, fix=FORM) from None
    except Exception as error:  # zip, NumPy and pickle errors have no common base
        raise ModelError(f"no head can be read from this file: {error}", file=file, fix=FORM) from None
    return as_head(file, weight, bias, names, texts)


def stored_head(file: Path) -> Head:
    """Read a head from its place in the cache folder.

    Heads of before, and those of other programs, do not say whose they are, and are not asked.

    Raises
    ------
    CacheMismatchError
        It is the head of another model, or another head of this one.
    ModelError
        As `read_head`.
    """
    try:
        stored = _stored(file)
    except FileNotFoundError:
        raise ModelError("there is no such head file", file=file) from None
    wanted = _owner(file)
    found = {key: stored.attributes.get(key, value) for key, value in wanted.items()}
    if found != wanted:
        raise CacheMismatchError(
            f"this is {_whose(found)}, in the place of {_whose(wanted)}",
            file=file,
            fix="put it back where it belongs; if you renamed it, extract, import or probe again under the new name",
        )
    return as_head(file, stored.weight, stored.bias, stored.names, stored.texts)


def _arrays(file: Path) -> tuple[Any, Any, tuple[str, ...] | None, Mapping[str, Any]]:
    suffix = file.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        stored = _stored(file)
        return stored.weight, stored.bias, stored.names, stored.texts
    return given_arrays(file)


def _stored(file: Path) -> _StoredHead:
    """Read an HDF5 file of a head, once its seal was compared.

    Raises
    ------
    FileNotFoundError
    ModelError
        It is damaged, no head, or of a schema that this version does not know.
    """
    if not file.exists():
        raise FileNotFoundError(file)
    try:
        stored: list[_StoredHead] = []
        open_hdf5(file, lambda h5, seal: stored.append(_inspect(h5, seal)))
    except UnreadableError as error:
        raise ModelError(
            f"no head can be read from this file: {error}",
            file=file,
            fix=f"it is damaged, or something else: restore it, or make it again; {FORM}",
        ) from None
    (found,) = stored
    if found.schema is not None and found.schema not in READABLE:
        raise ModelError(
            f"the head has schema {found.schema}; this version of moodbench reads schemas up to {SCHEMA}",
            file=file,
            fix="make it again with this version, or use the version that wrote it",
        )
    return found


def _inspect(h5: Any, seal: Seal | None) -> _StoredHead:
    schema = h5.attrs.get("moodbench_schema")
    if schema is not None and int(schema) >= SCHEMA and seal is None:
        raise UnreadableError("its seal is damaged")
    arrays = {}
    for name in ("weight", "bias", *(kind for kind in TEXTS if kind in h5)):
        array = h5[name]
        if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "fiu":
            raise UnreadableError(f"its '{name}' is not an array of numbers")
        size = array.size * array.dtype.itemsize
        # an array that was never written takes no room in the file, and its size in memory
        if size > MOST_BYTES or size > max(ROOM, RATIO * array.id.get_storage_size()):
            raise UnreadableError(f"its '{name}' of shape {array.shape} is too large for a head")
        arrays[name] = array[()]
    texts = {key: str(h5.attrs[key]) for key in ("model", "head", "provenance") if key in h5.attrs}
    names = _names(h5["classes"], "classes") if "classes" in h5 else None
    notes = {name: _names(h5[_NOTES][name], name) for name in h5[_NOTES]} if _NOTES in h5 else {}
    version = None if schema is None else int(schema)
    beside = {kind: arrays[kind] for kind in TEXTS if kind in arrays}
    return _StoredHead(arrays["weight"], arrays["bias"], names, beside, version, texts, notes)


def _names(array: Any, what: str) -> tuple[str, ...]:
    if not isinstance(array, h5py.Dataset) or array.ndim != 1 or h5py.check_string_dtype(array.dtype) is None:
        raise UnreadableError(f"its '{what}' are not a list of texts")
    if array.shape[0] > MOST_CLASSES or array.dtype.itemsize > 4 * MOST_NAME:
        raise UnreadableError(f"its '{what}' of shape {array.shape} are too large")
    return tuple(text.decode("utf-8", "surrogateescape") for text in array[:])


def _owner(file: Path) -> dict[str, str]:
    """Return whose head lies at `file`: the folder of its model, and its name, which is empty for the model's own."""
    if file.parent.name == "heads":
        return {"model": file.parents[1].name, "head": file.stem}
    return {"model": file.parent.name, "head": ""}


def _whose(owner: Mapping[str, str]) -> str:
    name = f"the head '{owner['head']}'" if owner["head"] else "the own head"
    return f"{name} of '{owner['model']}'"


def store_head(file: Path, head: Head, *, of: Path | None = None) -> None:
    """Write the head to `file`, or accept it if an equal one is there.

    Another one that is there is replaced if no cache needs it: it was left by a process that failed or was killed
    before it had made its first cache.

    Parameters
    ----------
    file : Path
        The model's own head.
    head : Head
    of : Path, optional
        The cache it is stored for, whose lock the caller holds.

    Raises
    ------
    CacheMismatchError
        Another head is there.
    """
    if (of is None or of.exists()) and file.exists() and _holds(stored_head(file), head):
        return  # also where nothing can be written
    with exclusive(file, waiting=_silently, tidy=True):
        # again, under the lock: without a cache, somebody else may have been about to take it for left over
        if file.exists() and _holds(stored_head(file), head):
            return
        if file.exists() and not is_left_over(file, of=of):
            there = stored_head(file)
            same = _equal(there, head)
            if not same or there.class_names is not None:  # names where there were none are news
                raise CacheMismatchError(
                    f"another head is stored for this model: {there.classes} classes on {there.dim} features, "
                    f"the new one has {head.classes} on {head.dim}"
                    + (" with other names" if same else " with other values" if _same_shape(there, head) else ""),
                    file=file,
                    fix="use another model or variant name, or remove this model's caches first",
                )
        write_head(file, head)


def drop_left_over(file: Path, *, of: Path) -> None:
    """Remove the model's own head if no cache needs it; `of` is the cache whose lock the caller holds."""
    if file.exists():
        with exclusive(file, waiting=_silently, tidy=True):
            if is_left_over(file, of=of):
                file.unlink(missing_ok=True)


def is_left_over(file: Path, *, of: Path | None = None) -> bool:
    """Say whether no cache needs the model's own head; `of`: a cache whose lock the caller holds."""
    caches = (one for one in file.parent.glob("*.h5") if one.name != file.name and not one.name.startswith("."))
    # in this order: a cache that is no longer being written by now is there by then
    return not is_written(file.parent, besides=of) and not any(caches) and not unfinished(file.parent)


def _silently() -> None:
    """Wait without a word: a head is written in no time."""


def _holds(there: Head, head: Head) -> bool:
    """Say whether the head that is there has the same values, and the names of the other one if that has any."""
    return _equal(there, head) and head.class_names in (None, there.class_names)


def same_head(a: Head, b: Head) -> bool:
    """Say whether two heads have the same values, and the same names of classes."""
    return _equal(a, b) and a.class_names == b.class_names


def _equal(a: Head, b: Head) -> bool:
    return np.array_equal(a.weight, b.weight) and np.array_equal(a.bias, b.bias)


def write_head(
    file: Path,
    head: Head,
    provenance: Mapping[str, object] | None = None,
    notes: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the head to `file`, in place of what is there, with whose head it is and what it was made from.

    `notes` are lists of texts about it (`head_notes`). It is made in memory, sealed, and renamed into place: it is
    whole or not there. Equal heads give equal bytes.

    Raises
    ------
    CacheError
        The disk is full, or the folder cannot be written.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="earliest", userblock_size=BLOCK) as h5:
        h5["weight"] = head.weight
        h5["bias"] = head.bias
        if head.class_names is not None:
            h5["classes"] = _encoded(head.class_names)
        for kind, texts in head.texts.items():
            h5[kind] = texts
        for name, lines in (notes or {}).items():
            h5[f"{_NOTES}/{name}"] = _encoded(lines)
        h5.attrs["moodbench_schema"] = SCHEMA
        for key, value in _owner(file).items():
            h5.attrs[key] = value
        if provenance is not None:
            h5.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
    put_seal(memory)
    try:
        replace_file(file, memory.getbuffer())
    except OSError as error:
        raise CacheError(
            f"the head cannot be written: {error.strerror}", file=file, fix="make room or choose another --cache-dir"
        ) from None


def _encoded(texts: Sequence[str]) -> np.ndarray[Any, Any]:
    lines = [text.encode("utf-8", "surrogateescape") for text in texts]
    return np.array(lines, h5py.string_dtype("utf-8", max(map(len, lines), default=1) or 1))


def head_notes(file: Path) -> Mapping[str, tuple[str, ...]]:
    """Return lists of texts that a stored head notes about itself: `words` of its classes, `prompts`, `negatives`.

    Raises
    ------
    ModelError
        As `head_provenance`.
    """
    return _stored(file).notes


def head_provenance(file: Path) -> dict[str, Any]:
    """Return what a stored head was made from; empty where there is none, or it does not say so.

    Raises
    ------
    ModelError
        The file is damaged, no head, or has a schema that this version does not know.
    """
    try:
        text = _stored(file).attributes.get("provenance", "{}")
        found = json.loads(text)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _same_shape(a: Head, b: Head) -> bool:
    return a.weight.shape == b.weight.shape
