"""Features computed elsewhere → feature cache."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.catalog import PRETEXT_TASKS
from moodbench.errors import CacheMismatchError, DataError, UsageError
from moodbench.features.arrays import load_arrays
from moodbench.features.cache import DONE, FeatureCache, Layout, create_cache, row_checksums
from moodbench.features.heads import read_head, store_head, stored_head
from moodbench.features.lock import exclusive
from moodbench.models.digest import file_sha256
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace

_ROWS = 4096
MOST_CLASSES = 1_000_000
"""Labels from here on are no class numbers but something else."""

TOLERANCE = 1e-3
"""Largest difference of given logits from features @ W.T + b, relative to the largest logit: features that were stored
in half precision are off by that much."""


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    file : Path
    rows, dim, classes : int, int, int or None
    already : bool
        The same rows were there before; nothing was written.
    """

    file: Path
    rows: int
    dim: int
    classes: int | None
    already: bool


@dataclass(frozen=True)
class _Arrays:
    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    labels: NDArray[np.int64]
    ids: list[str]
    class_names: tuple[str, ...]


def import_features(
    model: str,
    dataset: str,
    file: Path,
    *,
    head: Path | None = None,
    labels: Path | None = None,
    pretext: str | None = None,
    workspace: Workspace | None = None,
) -> Imported:
    """Put features that another program computed into the cache of (model, dataset).

    Parameters
    ----------
    model : str
        Any name; it need not be in the catalogue.
    dataset : str
        Any name.
    file : Path
        ``.npz`` with `features` (N, D) and optionally `logits` (N, C), `labels` (N,), `ids` (N,), `classes` (K,) texts,
        the names of the classes that labels number; ``.npy`` or a pickle of one array (N, D).
    head : Path, optional
        The linear head (`read_head`). Logits are computed from it where the file has none.
    labels : Path, optional
        ``.npy``, ``.npz`` (`labels`) or text with one integer a line.
    pretext : str, optional
        The pretext task to show for a model that no catalogue knows.

    Raises
    ------
    DataError, ModelError
        The files do not hold what is needed, shapes disagree, or a row has NaN or infinity.
    CacheMismatchError
        Other rows, or another head, are cached under these names.
    """
    space = workspace or Workspace()
    name = ModelName.parse(model)
    if name.head is not None:
        raise UsageError(f"'{model}' names a head; import features under the model's own name and give --head FILE")
    target = space.cache_file(name, dataset)
    if pretext is not None and pretext not in PRETEXT_TASKS:
        raise UsageError(f"there is no pretext task '{pretext}'", fix=f"use one of: {', '.join(PRETEXT_TASKS)}")
    own = _head(space.head_file(name), head)
    arrays = _check(file, load_arrays(file), own, labels)
    if target.exists():
        return _compare(target, arrays)
    with exclusive(target):
        if target.exists():  # another process may just have ended
            return _compare(target, arrays)
        if own is not None:
            store_head(space.head_file(name), own)
        provenance = {
            "source": "import",
            "pretext": pretext,
            "file": {"name": file.name, "sha256": file_sha256(file)},
            "limit": None,
        }
        _write(target, str(name), dataset, arrays, provenance)
    classes = None if arrays.logits is None else arrays.logits.shape[1]
    return Imported(target, len(arrays.features), arrays.features.shape[1], classes, already=False)


def _head(stored: Path, given: Path | None) -> Head | None:
    if given is not None:
        return read_head(given)
    return stored_head(stored) if stored.exists() else None


def _check(file: Path, raw: dict[str, Any], head: Head | None, labels: Path | None) -> _Arrays:
    if "features" not in raw:
        raise DataError(f"the file has no array 'features'; it holds {sorted(raw)}", file=file)
    features = _float_rows(file, "features", raw["features"])
    n, dim = features.shape
    if n == 0:
        raise DataError("the file has no rows", file=file)
    if head is not None and head.dim != dim:
        raise DataError(f"the features are {dim} wide, the head expects {head.dim}", file=file)
    logits = _float_rows(file, "logits", raw["logits"]) if "logits" in raw else None
    if logits is not None and len(logits) != n:
        raise DataError(f"{n} rows of features, but {len(logits)} of logits", file=file)
    if head is not None:
        logits = _agree(file, features, logits, head)
    found = read_labels(labels) if labels is not None else raw.get("labels", np.full(n, -1))
    ids = [i.decode() if isinstance(i, bytes) else str(i) for i in raw["ids"]] if "ids" in raw else None
    ids = ids or [str(i) for i in range(n)]
    if len(ids) != n:
        raise DataError(f"{n} rows of features, but {len(ids)} ids", file=file)
    numbers = _labels(labels or file, found, n)
    names = _class_names(file, raw["classes"], numbers) if "classes" in raw else ()
    return _Arrays(features, logits, numbers, ids, names)


def _float_rows(file: Path, name: str, array: Any) -> NDArray[np.float32]:
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu":
        raise DataError(f"'{name}' should be numbers of shape (N, width), found {array.dtype} {array.shape}", file=file)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused below
        rows = np.ascontiguousarray(array, np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        shown = ", ".join(map(str, bad[:5].tolist())) + (", …" if bad.size > 5 else "")
        raise DataError(
            f"'{name}' has NaN, infinity or values beyond float32 in {bad.size} rows: {shown}",
            file=file,
            fix="leave those rows out",
        )
    return rows


def _agree(
    file: Path, features: NDArray[np.float32], logits: NDArray[np.float32] | None, head: Head
) -> NDArray[np.float32]:
    if logits is not None and logits.shape[1] != head.classes:
        raise DataError(f"the logits have {logits.shape[1]} classes, the head {head.classes}", file=file)
    computed = features @ head.weight.T + head.bias
    if logits is None:
        return computed
    error = float(np.abs(computed - logits).max() / max(np.abs(logits).max(), 1e-12))
    if error > TOLERANCE:
        raise DataError(
            f"the logits are not features @ weight.T + bias: they differ by {error:.2g} of the largest logit",
            file=file,
            fix="the features are not what enters the head, or the head belongs to another model",
        )
    return logits


def _labels(file: Path, found: Any, n: int) -> NDArray[np.int64]:
    labels = np.asarray(found)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels)):
        labels = labels.astype(np.int64)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise DataError(f"labels should be {n} integers, found {labels.dtype} {labels.shape}", file=file)
    if labels.min() < -1:
        raise DataError(f"labels are class numbers, or -1 where unknown; found {labels.min()}", file=file)
    if labels.max() >= MOST_CLASSES:
        raise DataError(f"labels are class numbers counted from 0; found {labels.max()}", file=file)
    return labels.astype(np.int64)


def _class_names(file: Path, found: Any, labels: NDArray[np.int64]) -> tuple[str, ...]:
    if found.ndim != 1 or found.dtype.kind not in "US":
        raise DataError(f"'classes' should be texts of shape (K,), found {found.dtype} {found.shape}", file=file)
    try:
        names = tuple(name.decode() if isinstance(name, bytes) else name for name in found.tolist())
        "".join(names).encode()
    except UnicodeError as error:
        raise DataError(f"'classes' are not all UTF-8: {error}", file=file) from None
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or "" in names:
        what = f"'{twice[0]}' twice" if twice else "a name that is empty"
        raise DataError(f"'classes' has {what}: names of classes tell them apart", file=file)
    if labels.max() >= len(names):
        raise DataError(f"there are {len(names)} 'classes', and a label {labels.max()}: they count from 0", file=file)
    return names


def read_labels(file: Path) -> NDArray[np.int64]:
    """Read labels from ``.npy``, ``.npz`` or ``.pkl`` (array `labels` or the only one), or text, one integer a line."""
    if file.suffix.lower() in (".npy", ".npz", ".pkl", ".pickle"):
        arrays = load_arrays(file)
        labels = arrays.get("labels", next(iter(arrays.values()))) if arrays else np.empty(0)
        return np.asarray(labels)
    try:
        return np.array([int(line) for line in file.read_text(encoding="utf-8").split()], np.int64)
    except (OSError, ValueError) as error:
        raise DataError(f"no labels can be read from this file: {error}", file=file) from None


def _compare(target: Path, arrays: _Arrays) -> Imported:
    classes = None if arrays.logits is None else arrays.logits.shape[1]
    with FeatureCache(target) as cache:
        done = np.full(len(arrays.features), DONE, np.uint8)
        same = cache.complete and (cache.rows, cache.dim, cache.classes) == (*arrays.features.shape, classes)
        same = same and np.array_equal(
            cache.checksums, row_checksums(arrays.features, arrays.logits, arrays.labels, done)
        )
        if same and arrays.class_names not in ((), cache.class_names):
            raise CacheMismatchError(
                "the same rows are cached "
                + ("with other names of classes" if cache.class_names else "without names of classes"),
                file=target,
                fix=f"remove them first: moodbench cache remove --model {cache.model} --dataset {cache.dataset}",
            )
    if not same:
        raise CacheMismatchError(
            "another cache is stored under this model and dataset",
            file=target,
            fix="use another name, or remove it first: moodbench cache remove --model M --dataset D",
        )
    return Imported(target, len(arrays.features), arrays.features.shape[1], classes, already=True)


def _write(target: Path, model: str, dataset: str, arrays: _Arrays, provenance: dict[str, Any]) -> None:
    """Fill a cache under a name of its own and rename it at the end: an import is whole or not there."""
    unfinished = target.with_name(f".{target.name}.import")
    classes = None if arrays.logits is None else arrays.logits.shape[1]
    layout = Layout(arrays.ids, arrays.labels, arrays.features.shape[1], classes, arrays.class_names)
    create_cache(unfinished, model, dataset, layout, provenance)
    try:
        with FeatureCache(unfinished, write=True) as cache:
            for start in range(0, layout.rows, _ROWS):
                rows = slice(start, start + _ROWS)
                logits = None if arrays.logits is None else arrays.logits[rows]
                features = arrays.features[rows]
                cache.write(start, features, logits, np.full(len(features), DONE, np.uint8))
            cache.finish()
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
