"""Heads on disk: ``head.h5`` (a model's own) and ``heads/<name>.h5``, and head files that people bring."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moodbench.atomic import replace_file
from moodbench.errors import CacheError, CacheMismatchError, ModelError
from moodbench.pickles import load_pickle
from moodbench.types import Head

SCHEMA = 1
"""Of the attributes of a head file."""


def read_head(file: Path) -> Head:
    """Read a head from ``.h5`` or ``.npz`` (arrays `weight` and `bias`) or the reference's pickle of ``[W, b]``.

    Raises
    ------
    ModelError
        The file is missing, of another kind, or its arrays are no linear head.
    """
    try:
        weight, bias = _arrays(file)
    except FileNotFoundError:
        raise ModelError("there is no such head file", file=file) from None
    except (OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise ModelError(
            f"no head can be read from this file: {error}",
            file=file,
            fix="a head file holds 'weight' (C, D) and 'bias' (C,): .npz, .h5, or a pickle of [W, b]",
        ) from None
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ModelError("the head has NaN or infinite values", file=file)
    try:
        return Head(np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(bias, np.float32))
    except ValueError as error:
        raise ModelError(str(error), file=file) from None


def _arrays(file: Path) -> tuple[Any, Any]:
    suffix = file.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        with h5py.File(file, "r", locking=False) as h5:
            return h5["weight"][:], h5["bias"][:]
    if suffix == ".npz":
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return arrays["weight"], arrays["bias"]
    if suffix in (".pkl", ".pickle"):
        value = load_pickle(file)
        if isinstance(value, Mapping):
            return value["weight"], value["bias"]
        weight, bias = value
        return weight, bias
    raise ValueError(f"unknown suffix '{suffix}'")


def store_head(file: Path, head: Head) -> None:
    """Write the head to `file`, or accept it if an equal one is there.

    Raises
    ------
    CacheMismatchError
        Another head is there.
    """
    if file.exists():
        there = read_head(file)
        if np.array_equal(there.weight, head.weight) and np.array_equal(there.bias, head.bias):
            return
        raise CacheMismatchError(
            f"another head is stored for this model: {there.classes} classes on {there.dim} features, "
            f"the new one has {head.classes} on {head.dim}"
            + (" with other values" if _same_shape(there, head) else ""),
            file=file,
            fix="use another model or variant name, or remove this model's caches first",
        )
    write_head(file, head)


def write_head(file: Path, head: Head, provenance: Mapping[str, object] | None = None) -> None:
    """Write the head to `file`, in place of what is there, with what it was made from.

    It is made in memory and renamed into place: it is whole or not there. Equal heads give equal bytes.

    Raises
    ------
    CacheError
        The disk is full, or the folder cannot be written.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="earliest") as h5:
        h5["weight"] = head.weight
        h5["bias"] = head.bias
        if provenance is not None:
            h5.attrs["moodbench_schema"] = SCHEMA
            h5.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
    try:
        replace_file(file, memory.getbuffer())
    except OSError as error:
        raise CacheError(
            f"the head cannot be written: {error.strerror}", file=file, fix="make room or choose another --cache-dir"
        ) from None


def head_provenance(file: Path) -> dict[str, Any]:
    """Return what a stored head was made from; empty where the file does not say so, or is none of ours.

    Raises
    ------
    ModelError
        The head has a schema that this version does not know.
    """
    try:
        with h5py.File(file, "r", locking=False) as h5:
            schema, text = h5.attrs.get("moodbench_schema"), h5.attrs.get("provenance")
        found = None if schema is None else json.loads(text)
    except (OSError, ValueError, TypeError):
        return {}
    if schema is not None and int(schema) != SCHEMA:
        raise ModelError(
            f"the head has schema {int(schema)}; this version of moodbench reads schema {SCHEMA}",
            file=file,
            fix="make it again with this version, or use the version that wrote it",
        )
    return found if isinstance(found, dict) else {}


def _same_shape(a: Head, b: Head) -> bool:
    return a.weight.shape == b.weight.shape
