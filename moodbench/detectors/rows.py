"""Arrays, tensors and iterables of batches → blocks of rows, as ``score`` reads them out of a cache.

Blocks have as many rows as the engine's and begin at the same places, so that a fit sums in the same order and gives
the same bits as the command line, whatever the size of the batches that are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from moodbench.classes import without_gaps
from moodbench.errors import UsageError
from moodbench.evaluation.engine import BLOCK
from moodbench.evaluation.pieces import logits_of
from moodbench.scores.block import Block
from moodbench.types import Head

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

PARTS = ("features", "labels", "logits")


@dataclass(frozen=True)
class Batch:
    """Rows that are given together: features (B, D), labels (B,) or None, logits (B, C) or None."""

    features: Floats
    labels: Labels | None
    logits: Floats | None

    def __len__(self) -> int:
        return len(self.features)


def as_floats(given: Any, what: str, *, fix: str = "leave such rows out") -> Floats:
    """Return (N, D) float32 of an array, a tensor or nested lists.

    Raises
    ------
    UsageError
        It is not two-dimensional, not of numbers, or not finite.
    """
    array = _as_array(given, what)
    if array.ndim != 2:
        wanted = "one row for each image" + ("; of one image alone: x[None]" if array.ndim == 1 else "")
        raise UsageError(f"{what} must be (rows, width), got {array.shape}", fix=wanted)
    if array.dtype.kind not in "fiu":
        raise UsageError(f"{what} must be numbers, got {array.dtype}")
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise UsageError(f"{what} are not finite in float32: row {bad}", fix=fix)
    return found


def as_labels(given: Any, rows: int) -> Labels:
    """Return (rows,) int64 labels, -1 where unknown.

    Raises
    ------
    UsageError
        There is another number of them, or they are no whole numbers from -1 upwards.
    """
    array = _as_array(given, "labels")
    if array.shape != (rows,):
        raise UsageError(
            f"labels must be one for each of {rows} rows, got {array.shape}",
            fix="one number for each row" + ("; of one-hot rows: y.argmax(axis=1)" if array.ndim == 2 else ""),
        )
    with np.errstate(invalid="ignore"):  # NaN is no whole number, and is refused below
        whole = array.astype(np.int64) if array.dtype.kind in "iufb" else None
    if whole is None or not np.array_equal(whole, array) or whole.min(initial=0) < -1:
        names = array.dtype.kind in "OSUT"
        raise UsageError(
            "labels must be the numbers of classes, 0, 1, …, and -1 where unknown" + (", got names" if names else ""),
            fix="np.unique(y, return_inverse=True)[1] numbers names; with a head, number them as its rows"
            if names
            else None,
        )
    return whole


def as_head(given: Any) -> Head:
    """Return the head of a pair (weight (C, D), bias (C,) or None), or of `moodbench.Head` itself.

    Raises
    ------
    UsageError
        It is neither, or the two do not fit.
    """
    if isinstance(given, Head):
        return given
    if not isinstance(given, Sequence) or len(given) != 2:
        raise UsageError("a head is a pair (weight, bias)", fix="head=(layer.weight, layer.bias)")
    broken = "such a layer has no logits: is it the one that was trained?"
    weight = as_floats(given[0], "weights of the head", fix=broken)
    shift = np.zeros(len(weight)) if given[1] is None else _as_array(given[1], "biases of the head")
    if shift.shape != (len(weight),):
        turned = shift.ndim == 1 and len(shift) == weight.shape[1]
        raise UsageError(
            f"the head has {len(weight)} rows, and its bias is {shift.shape}",
            fix="weight is (classes, width), bias (classes,)" + ("; turn it round: weight.T" if turned else ""),
        )
    bias = as_floats(shift[None], "biases of the head", fix=broken)[0]
    return Head(weight, bias)


def as_batch(given: Any, y: Any = None, logits: Any = None) -> Batch:
    """Return what one batch is: features alone, ``(features, labels)``, or a mapping with the names in `PARTS`.

    Raises
    ------
    UsageError
        A part has another shape or type than it should, or is not known.
    """
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in PARTS]
        if unknown or "features" not in given:
            raise UsageError(f"a batch has {', '.join(PARTS)}; got {', '.join(map(str, given))}")
        given, y, logits = (given.get(name) for name in PARTS)
    elif _has_parts(given):
        if len(given) != 2:
            raise UsageError(f"a batch of {len(given)} parts", fix="(features, labels), or a mapping with logits too")
        given, y = given
    x = as_floats(given, "features")
    labels = None if y is None else as_labels(y, len(x))
    made = None if logits is None else as_floats(logits, "logits")
    if made is not None and len(made) != len(x):
        raise UsageError(f"{len(made)} rows of logits for {len(x)} rows of features")
    return Batch(x, labels, made)


def _as_array(given: Any, what: str) -> NDArray[Any]:
    if given is None:
        raise UsageError(f"{what} are None", fix="give an array")
    if callable(getattr(given, "toarray", None)):  # of SciPy, which NumPy takes for a single object
        raise UsageError(f"{what} are a sparse matrix, and scores read dense ones", fix="give X.toarray()")
    try:
        if isinstance(given, torch.Tensor):
            given = given.detach()
            given = given.float() if given.dtype in (torch.bfloat16, torch.float16) else given
            given = given.cpu().numpy()
        found: NDArray[Any] = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{what} cannot be taken for an array: {error}") from None
    return found


class Rows:
    """ID train rows that can be read again and again.

    Parameters
    ----------
    given : array, tensor, or iterable or callable of batches
        A callable returns a new iterator of batches each time.
    y, logits : array, optional
        Of all rows, where `given` is an array.
    head : Head, optional
        To make logits with where none are given.

    Attributes
    ----------
    rows, dim : int
    classes : int or None
        C; None where there are neither logits nor a head.
    labels : (rows,) int64
        -1 where unknown.

    Raises
    ------
    UsageError
        It can be read only once, batches do not fit one another, or there are no rows.
    """

    def __init__(self, given: Any, y: Any = None, logits: Any = None, head: Head | None = None) -> None:
        self.head = head
        self._batches = _batches_of(given, y, logits)
        self._digest: int | None = None
        self.rows, self.dim, self.classes = 0, 0, None if head is None else head.classes
        labels = []
        for number, batch in enumerate(self._read()):
            if number == 0:
                self.dim = batch.features.shape[1]
                if head is not None and head.dim != self.dim:
                    raise UsageError(f"the head expects features {head.dim} wide, these are {self.dim}")
                if batch.logits is not None:
                    self._fits(batch.logits.shape[1])
                    self.classes = batch.logits.shape[1]
                self._logits = batch.logits is not None
            self._check(batch, number)
            self.rows += len(batch)
            labels.append(np.full(len(batch), -1, np.int64) if batch.labels is None else batch.labels)
        if self.rows == 0:
            raise UsageError("there are no rows to fit on")
        self.labels = np.concatenate(labels)
        if self.classes is not None and self.labels.max() >= self.classes:
            raise UsageError(
                f"there is a label {self.labels.max()}, and the logits have {self.classes} classes",
                fix="number labels as the head's classes, or leave head and logits out",
            )
        self._present = None if self.classes is not None else np.unique(self.labels[self.labels >= 0])

    def _fits(self, classes: int) -> None:
        if self.head is not None and self.head.classes != classes:
            raise UsageError(f"the head has {self.head.classes} classes, the logits {classes}")

    def _check(self, batch: Batch, number: int) -> None:
        """Refuse a batch that does not fit the first."""
        if batch.features.shape[1] != self.dim:
            raise UsageError(f"batch {number}: features {batch.features.shape[1]} wide, those before {self.dim}")
        if (batch.logits is not None) != self._logits:
            raise UsageError(f"batch {number}: some batches have logits, and others have none")
        if batch.logits is not None and batch.logits.shape[1] != self.classes:
            raise UsageError(f"batch {number}: logits of {batch.logits.shape[1]} classes, those before {self.classes}")

    def _read(self) -> Iterator[Batch]:
        """Yield the batches, once more; refuse others than those of the first time, or another order."""
        digest = 0
        for batch in self._batches():
            digest = crc32(batch.features, digest)
            yield batch
        if self._digest is not None and digest != self._digest:
            raise UsageError(
                "the rows are others, or in another order, each time that they are read",
                fix="a DataLoader with shuffle=False and without augmentation, or one array",
            )
        self._digest = digest

    def numbered(self, labels: Labels) -> Labels:
        """Return labels as scores see them: of a head's classes as they are, others without gaps."""
        return labels if self._present is None else without_gaps(labels, self._present)

    def facts(self) -> dict[str, Any]:
        """Return the numbers of `moodbench.scores.base.Train`."""
        largest = int(self.numbered(self.labels).max())
        return {
            "rows": self.rows,
            "dim": self.dim,
            "classes": self.classes,
            "label_classes": largest + 1 if self.labels.min() >= 0 else 0,
            "unlabelled": int((self.labels < 0).sum()),
            "own_classes": self.classes is not None and bool(self.labels.max() >= 0),
            "used_classes": None,
        }

    def blocks(self, device: torch.device) -> Iterator[Block]:
        """Yield all rows on the device, `BLOCK` at a time."""
        head = None
        if self.head is not None:
            head = torch.from_numpy(self.head.weight).to(device), torch.from_numpy(self.head.bias).to(device)
        start = 0
        for features, logits in _rechunked(self._read()):
            x = torch.from_numpy(features).to(device)
            made = None if logits is None else torch.from_numpy(logits).to(device)
            if made is None and head is not None:
                made = logits_of(x, *head)
            labels = torch.from_numpy(self.numbered(self.labels[start : start + len(x)])).to(device)
            yield Block(x, made, labels, start)
            start += len(x)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all rows at once, as arrays by their names in `PARTS`."""
        parts = list(_rechunked(self._read()))
        found: dict[str, NDArray[Any]] = {"features": np.concatenate([x for x, _ in parts]), "labels": self.labels}
        made = [z for _, z in parts if z is not None]
        return found | ({"logits": np.concatenate(made)} if made else {})


def _batches_of(given: Any, y: Any, logits: Any) -> Callable[[], Iterable[Batch]]:
    """Return what starts a walk over the rows."""
    if callable(given) or _is_of_batches(given):
        if y is not None or logits is not None:
            raise UsageError(
                "labels and logits of batches belong into the batches",
                fix="yield (features, labels), or {'features': …, 'labels': …, 'logits': …}",
            )
        if not callable(given) and iter(given) is given:
            raise UsageError(
                "an iterator can be read once, and a fit reads the rows several times",
                fix="give a function that returns a new iterator, a list of batches, or a DataLoader",
            )
        return lambda: (as_batch(one) for one in (given() if callable(given) else given))
    whole = as_batch(given, y, logits)
    return lambda: (whole,)


def _is_of_batches(given: Any) -> bool:
    """Say whether this is an iterable of batches, and no array: nested lists of numbers are an array."""
    if isinstance(given, np.ndarray | torch.Tensor | Mapping) or hasattr(given, "__array__"):
        return False
    if not isinstance(given, list | tuple):
        return hasattr(given, "__iter__")
    # of single rows, (D,), a list is an array
    return bool(given) and (isinstance(given[0], Mapping) or getattr(given[0], "ndim", 0) == 2 or _has_parts(given[0]))


def _has_parts(batch: Any) -> bool:
    """Say whether a batch is a tuple or, as loaders make them, a list of arrays, of which the first has the rows."""
    return isinstance(batch, tuple | list) and len(batch) > 0 and getattr(batch[0], "ndim", 0) == 2


def _rechunked(batches: Iterable[Batch]) -> Iterator[tuple[Floats, Floats | None]]:
    """Yield features and logits in blocks of `BLOCK` rows; the last may be smaller."""
    held: list[Batch] = []
    count = 0
    for batch in batches:
        at = 0
        while count + len(batch) - at >= BLOCK:
            take = BLOCK - count
            held.append(_part(batch, at, at + take))
            yield _together(held)
            held, count, at = [], 0, at + take
        if at < len(batch):
            held.append(_part(batch, at, len(batch)))
            count += len(batch) - at
    if held:
        yield _together(held)


def _part(batch: Batch, start: int, stop: int) -> Batch:
    logits = None if batch.logits is None else batch.logits[start:stop]
    return Batch(batch.features[start:stop], None, logits)


def _together(held: Sequence[Batch]) -> tuple[Floats, Floats | None]:
    features = held[0].features if len(held) == 1 else np.concatenate([one.features for one in held])
    logits = [one.logits for one in held if one.logits is not None]
    return features, None if not logits else logits[0] if len(logits) == 1 else np.concatenate(logits)
