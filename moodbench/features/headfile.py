"""Heads that people bring as ``.npz`` or as a pickle: the two arrays, of numbers and of fitting shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import ModelError
from moodbench.features.arrays import as_array
from moodbench.features.npy import Archive, StoredArray, held
from moodbench.features.texts import read_names
from moodbench.pickles import load_pickle
from moodbench.reading import check_regular, open_regular
from moodbench.types import TEXTS, Head

SUFFIXES = (".npz", ".pkl", ".pickle")

MOST_CLASSES = 1_000_000

FORM = "a head file holds 'weight' (C, D), 'bias' (C,) and perhaps 'classes' (C,): .npz, .h5, or a pickle of [W, b]"


def given_arrays(file: Path) -> tuple[Any, Any, tuple[str, ...] | None, dict[str, Any]]:
    """Return weight, bias and, where they are, `classes` of a ``.npz`` or a pickle of them, or of ``[W, b]``.

    Texts that belong to the head (`moodbench.types.TEXTS`) come last, by name.

    Raises
    ------
    ModelError
        There is no such file, or it is no regular one.
    Exception
        Whatever NumPy, zip or pickle raise about a damaged file; a `ValueError` if it holds something else.
    """
    check_regular(file, "the head file", ModelError)
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"unknown suffix '{file.suffix}'")

    def open_file() -> Any:
        return open_regular(file, "the head file", ModelError)

    found: Mapping[str, Any]
    if file.suffix.lower() == ".npz":
        found = Archive(open_file)
    else:
        with open_file() as stream:
            value = load_pickle(stream)
        if isinstance(value, (list, tuple)) and len(value) == 2:
            value = dict(zip(("weight", "bias"), value, strict=True))
        if not isinstance(value, dict):
            raise ValueError("it holds neither two arrays nor a dict of them")
        found = value
    size = file.stat().st_size
    arrays = {}
    for name in ("weight", "bias", *(one for one in ("classes", *TEXTS) if one in found)):
        if name not in found:
            raise ValueError(f"it has no '{name}'")
        try:
            arrays[name] = found[name] if isinstance(found[name], StoredArray) else held(as_array(found[name], size))
        except ValueError as error:
            raise ValueError(f"'{name}': {error}") from None
    weight, bias = arrays.pop("weight"), arrays.pop("bias")
    _check_shapes(weight, bias)
    names = arrays.pop("classes", None)
    for kind, texts in arrays.items():
        if texts.dtype.kind not in "fiu" or texts.shape[1:] != weight.shape[1:]:
            raise ValueError(f"'{kind}' should be numbers (M, {weight.shape[1]}), found {texts.dtype} {texts.shape}")
    told = {kind: texts.whole() for kind, texts in arrays.items()}
    return weight.whole(), bias.whole(), None if names is None else read_names(file, names), told


def _check_shapes(weight: StoredArray, bias: StoredArray) -> None:
    for name, array in (("weight", weight), ("bias", bias)):
        if array.dtype.kind not in "fiu":
            raise ValueError(f"'{name}' should be numbers, found {array.dtype}")
    if len(weight.shape) != 2 or bias.shape != weight.shape[:1] or 0 in weight.shape:
        raise ValueError(f"a head is weight (C, D) and bias (C,), got {weight.shape} and {bias.shape}")
    if weight.shape[0] > MOST_CLASSES:
        raise ValueError(f"it has {weight.shape[0]} classes, and {MOST_CLASSES} are the limit")


def as_head(
    file: Path, weight: Any, bias: Any, names: tuple[str, ...] | None, texts: Mapping[str, Any] | None = None
) -> Head:
    """Return the head in float32, or raise the `ModelError` that it is none."""
    texts = texts or {}
    if {weight.dtype.kind, bias.dtype.kind} - set("fiu"):
        raise ModelError(f"the head should be numbers, found {weight.dtype} and {bias.dtype}", file=file, fix=FORM)
    if 0 in weight.shape:
        raise ModelError(f"the head is empty: its weight has the shape {weight.shape}", file=file, fix=FORM)
    try:
        head = Head(_float32(weight), _float32(bias), names, {kind: _float32(one) for kind, one in texts.items()})
    except ValueError as error:
        raise ModelError(str(error), file=file, fix=FORM) from None
    if not all(np.isfinite(array).all() for array in (head.weight, head.bias, *head.texts.values())):
        raise ModelError(
            "the head has NaN, infinity or values beyond float32", file=file, fix="save it again with finite numbers"
        )
    return head


def _float32(array: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused
        return np.ascontiguousarray(array, np.float32)
