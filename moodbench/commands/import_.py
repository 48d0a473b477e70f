"""Features computed elsewhere → feature cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.arguments import as_path
from moodbench.choices import pretext_fault
from moodbench.digests import file_sha256
from moodbench.errors import CacheMismatchError, UsageError
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.checksums import row_checksums
from moodbench.features.create import Layout
from moodbench.features.filling import filling
from moodbench.features.given import GivenRows, read_given
from moodbench.features.heads import drop_left_over, is_left_over, read_head, store_head, stored_head
from moodbench.features.lock import exclusive
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace, as_workspace


@dataclass(frozen=True)
class ImportOutcome:
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


def import_features(
    model: str,
    dataset: str,
    file: str | Path,
    *,
    head: str | Path | None = None,
    labels: str | Path | None = None,
    pretext: str | None = None,
    workspace: Workspace | None = None,
) -> ImportOutcome:
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
        The pretext task to show for a model that no catalogue knows: any text, the known ones with a place in tables.

    Raises
    ------
    DataError, ModelError
        The files do not hold what is needed, shapes disagree, or a row has NaN or infinity.
    CacheMismatchError
        Other rows, or another head, are cached under these names.
    """
    space = as_workspace(workspace)
    name = ModelName.parse(model)
    if name.head is not None:
        raise UsageError(f"'{model}' names a head; import features under the model's own name and give --head FILE")
    target = space.cache_file(name, dataset)
    if pretext is not None and (fault := pretext_fault(pretext)) is not None:
        raise UsageError(f"the pretext task is '{pretext[:80]}', {fault}")
    file = as_path(file)
    own = _head(space.head_file(name), as_path(head))
    given = read_given(file, own, as_path(labels))
    if target.exists():
        return _already(target, given, space.head_file(name))
    with exclusive(target):
        if target.exists():  # another process may just have ended
            return _already(target, given, space.head_file(name))
        if own is not None:
            store_head(space.head_file(name), own, of=target)
        else:
            drop_left_over(space.head_file(name), of=target)
        provenance = {
            "source": "import",
            "pretext": pretext,
            "file": {"name": file.name, "sha256": file_sha256(file)},
            "limit": None,
        }
        try:
            _write(target, str(name), dataset, given, provenance, own)
        except BaseException:
            drop_left_over(space.head_file(name), of=target)
            raise
    return ImportOutcome(target, given.rows, given.dim, given.classes, already=False)


def _head(stored: Path, given: Path | None) -> Head | None:
    if given is not None:
        return read_head(given)
    return stored_head(stored) if stored.exists() and not is_left_over(stored) else None


def _already(target: Path, given: GivenRows, head_file: Path) -> ImportOutcome:
    """Return what is there if it is the same, and store the head that comes with it."""
    found = _compare(target, given)
    if given.head is not None:
        store_head(head_file, given.head)
    return found


def _compare(target: Path, given: GivenRows) -> ImportOutcome:
    with FeatureCache(target) as cache:
        if cache.classes is None and given.logits is None:  # the head came later: scoring computes logits from it
            given = replace(given, head=None)
        same = cache.complete and (cache.rows, cache.dim, cache.classes) == (given.rows, given.dim, given.classes)
        same = same and _equal_rows(cache.checksums, given)
        if same and given.ids not in (cache.ids, [str(i) for i in range(given.rows)]):  # not given: numbers
            raise CacheMismatchError(
                "the same rows are cached with other ids",
                file=target,
                fix=f"remove them first: moodbench cache remove --model {cache.model} --dataset {cache.dataset}",
            )
        if same and given.class_names not in ((), cache.class_names):
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
    return ImportOutcome(target, given.rows, given.dim, given.classes, already=True)


def _equal_rows(checksums: NDArray[np.uint32], given: GivenRows) -> bool:
    for start, features, logits in given.blocks():
        rows = slice(start, start + len(features))
        done = np.full(len(features), DONE, np.uint8)
        if not np.array_equal(checksums[rows], row_checksums(features, logits, given.labels[rows], done)):
            return False
    return True


def _write(
    target: Path, model: str, dataset: str, given: GivenRows, provenance: dict[str, Any], head: Head | None
) -> None:
    digest = None if head is None else head.digest
    layout = Layout(given.ids, given.labels, given.dim, given.classes, given.class_names, digest)
    with filling(target, model, dataset, layout, provenance) as cache:
        for start, features, logits in given.blocks():
            cache.write(start, features, logits, np.full(len(features), DONE, np.uint8))
