"""One model's cached rows → a linear head: which rows it is fitted on, which choose its penalty, how good it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from moodbench.classes import NumberedLabels, join
from moodbench.errors import CacheError
from moodbench.features.labelled import LabelledRows, every_nth
from moodbench.features.reader import RowReader
from moodbench.logistic import Batches, Moments, Problem, Quality, Settings, StandardisedRows, assess, choose, measure
from moodbench.probing.task import Task
from moodbench.progress import Progress
from moodbench.types import Head

KEPT_BYTES = 1 << 28
"""Standardised rows that take no more stay in the memory of a CPU; others are read from the cache in every pass."""

DOUBLE = 10**9
"""Up to so many products in a pass they are formed in float64: the solver gets further, and it takes a second or less.
Among many rows the roundings of float32 cancel."""

SINGLE_THREAD = 10**8
"""Up to so many products in a pass, threads would cost more than they give."""

_BLOCK = {"cpu": 2048, "cuda": 16384}


@dataclass(frozen=True)
class ProbeRows:
    """What a head is made from.

    Attributes
    ----------
    train : RowReader
        ID train, of the classes that count.
    validation : RowReader or None
        The same of ID validation. Without it, one in `held_out` rows of ID train is held out.
    held_out : int
    tests : mapping of dataset to RowReader
    names : tuple of str, or None
        What labels stand for in all of them: they count the classes that ID train has rows of.
    unnamed : tuple of str
        Datasets whose labels count as numbers, because the names of their classes are unknown.
    """

    train: RowReader
    validation: RowReader | None
    held_out: int
    tests: Mapping[str, RowReader] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    unnamed: tuple[str, ...] = ()

    @property
    def inputs(self) -> dict[str, Any]:
        """What the numbers of a head depend on, besides the settings."""
        validation = self.validation
        held_out = {"every": self.held_out} if validation is None else {"contents": validation.fingerprint}
        return {"features": self.train.fingerprint, "held_out": held_out}

    @property
    def small(self) -> bool:
        """Whether threads would cost more than they give."""
        return self.train.rows * self.train.dim * (int(self.train.labels.max()) + 1) <= SINGLE_THREAD

    def split(self, device: torch.device) -> tuple[LabelledRows, LabelledRows]:
        """Return the rows to fit on and those to choose with.

        Raises
        ------
        CacheError
            They have no labels, fewer than two classes, a gap in the numbers of the classes, or none is held out.
        """
        block = _BLOCK[device.type]
        if self.validation is None:
            held = every_nth(self.train.rows, self.held_out)
            rest, other = (LabelledRows(self.train, device, chosen=chosen, block=block) for chosen in (~held, held))
        else:
            rest, other = (LabelledRows(reader, device, block=block) for reader in (self.train, self.validation))
        self._check(rest, other)
        return rest, other

    def _check(self, rest: LabelledRows, held: LabelledRows) -> None:
        file = self.train.file
        if not (self.train.labels >= 0).any():
            raise CacheError(
                "no row of ID train has a label",
                file=file,
                fix="import the rows with --labels FILE, or extract images in a folder per class",
            )
        found = np.unique(self.train.labels[self.train.labels >= 0])
        if len(found) < 2:
            raise CacheError(f"all labelled rows of ID train are of class {found[0]}: a head needs two", file=file)
        classes = int(found[-1]) + 1
        empty = np.setdiff1d(np.arange(classes), rest.labels)
        if len(empty):
            raise CacheError(
                f"{len(empty)} of {classes} classes have no row to fit on, the first is class {self._name(empty[0])}",
                file=file,
                fix="each class needs rows that are not held out",
            )
        if held.rows == 0:
            reader = self.train if self.validation is None else self.validation
            raise CacheError(
                "there are no labelled rows to choose the penalty with",
                file=reader.file,
                fix=(
                    f"ID train needs {self.held_out} rows at least"
                    if self.validation is None
                    else "ID validation needs labels"
                ),
            )
        if held.labels.max() >= classes:
            raise CacheError(
                f"ID validation has rows of a class that ID train, with {classes} classes, has no row of",
                file=held.reader.file,
            )

    def _name(self, label: int) -> str:
        return str(label) if self.names is None else f"'{self.names[label]}'"


def probe_rows(
    task: Task, train: RowReader, validation: RowReader | None, held_out: int, tests: Mapping[str, RowReader]
) -> ProbeRows:
    """Bring the labels of the readers together by name, and number the classes that ID train has rows of from 0 on.

    Raises
    ------
    CacheMismatchError
        ID validation has rows of classes that ID train does not know.
    CacheError
        ID train has no row of the classes that count.
    """
    own, aliases = NumberedLabels(task.id_train, train.labels, train.class_names), dict(task.aliases)
    held = [] if validation is None else [NumberedLabels(task.id_val or "", validation.labels, validation.class_names)]
    join(own, held, aliases=aliases, classes=task.classes)
    others = [NumberedLabels(name, reader.labels, reader.class_names) for name, reader in tests.items()]
    joined = join(own, [*held, *others], aliases=aliases, classes=task.classes, some=True)
    keep = joined.present
    names = joined.names_of(keep)
    joined = joined.restricted(keep)

    def read(name: str, reader: RowReader) -> RowReader:
        renamed = reader.relabelled(joined.labels[name])
        return renamed.of_labels(range(len(keep))) if task.classes else renamed

    return ProbeRows(
        read(task.id_train, train),
        None if validation is None else read(task.id_val or "", validation),
        held_out,
        {name: read(name, reader) for name, reader in tests.items()},
        names,
        joined.unnamed,
    )


@dataclass(frozen=True)
class TrainedHead:
    """A head and what is known about it (JSON types)."""

    head: Head
    record: dict[str, Any]


def train_head(rows: ProbeRows, settings: Settings, device: torch.device, *, title: str, progress: bool) -> TrainedHead:
    """Fit a head for each penalty, choose the one that says the held-out rows best, and fold standardisation into it.

    Memory holds a batch of rows, the rows themselves where they are few, and some thirty arrays as large as the head.

    Raises
    ------
    CacheError
        See `ProbeRows.split`.
    """
    rest, held = rows.split(device)
    bars = Progress(title, progress)
    with torch.inference_mode():
        with bars.phase("first pass", rest.rows) as tick:
            moments = measure(_watched(rest, tick), int(rest.labels.max()) + 1)
        standardised = _standardised(rest, held, moments, device)
        # how many penalties are worth a try turns out on the way: the time left is what it takes at most
        with bars.phase("penalties, at most", len(settings.penalties), "penalty") as tick:
            problem = Problem(standardised[0], moments, _each_penalty(settings, tick))
            chosen = choose(problem, standardised[1], settings)
        head = replace(_fold(moments, chosen.fit.weight, chosen.fit.bias), class_names=rows.names)
    quality = _assess(head, held, device)  # of the head as it is stored, on rows as they are cached
    return TrainedHead(
        head,
        {
            "classes": head.classes,
            "dim": head.dim,
            "rows": rest.rows,
            "unlabelled": int((rows.train.labels < 0).sum()),
            "lam": chosen.fit.lam,
            "end_of_range": chosen.at_end,
            "held_out_rows": quality.rows,
            "nll": quality.nll,
            "accuracy": quality.accuracy,
            "gradient": chosen.fit.gradient,
            "converged": chosen.fit.converged,
            "iterations": chosen.fit.iterations,
            "passes": chosen.passes,
            "tried": chosen.record(),
        },
    )


def _watched(rows: LabelledRows, tick: Callable[[float], object]) -> Batches:
    """Return the same rows, and tell how many of them have been read."""

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for features, labels in rows():
            yield features, labels
            tick(len(labels))

    return batches


def _each_penalty(settings: Settings, tick: Callable[[float], object]) -> Callable[[float, float], None]:
    """Return what the solver calls after every pass, of which a penalty takes many."""
    done = 0.0

    def told(lam: float, gradient: float) -> None:
        nonlocal done
        at = settings.penalties.index(lam) if lam in settings.penalties else done
        # within a penalty the gradient says how far it is, on a logarithmic scale
        share = math.log(max(gradient, settings.tolerance)) / math.log(settings.tolerance) if 0 < gradient < 1 else 0.0
        now = max(done, at + min(share, 1.0))
        tick(now - done)
        done = now

    return told


def accuracies(head: Head, tests: Mapping[str, RowReader], device: torch.device) -> dict[str, float]:
    """Return the head's accuracy on those datasets that have labels of its classes."""
    found = {}
    for name, reader in tests.items():
        rows = LabelledRows(reader, device, block=_BLOCK[device.type])
        if rows.rows and rows.labels.max() < head.classes:
            found[name] = _assess(head, rows, device).accuracy
    return found


def _standardised(
    rest: LabelledRows, held: LabelledRows, moments: Moments, device: torch.device
) -> tuple[StandardisedRows, StandardisedRows]:
    dtype = torch.float64 if rest.rows * len(moments.mean) * len(moments.counts) <= DOUBLE else torch.float32
    # both share the memory that there is
    room, rows = _room(device), rest.rows + held.rows
    return tuple(  # type: ignore[return-value]
        StandardisedRows(part, moments, part.rows, keep=room * part.rows // rows, dtype=dtype) for part in (rest, held)
    )


def _room(device: torch.device) -> int:
    """Return how many bytes of rows may be kept."""
    if device.type == "cuda":
        number = torch.cuda.current_device() if device.index is None else device.index
        return int(torch.cuda.mem_get_info(number)[0]) // 2
    return KEPT_BYTES


def _fold(moments: Moments, weight: torch.Tensor, bias: torch.Tensor) -> Head:
    plain, shifted = moments.fold(weight, bias)
    return Head(plain.float().cpu().numpy(), shifted.float().cpu().numpy())


def _assess(head: Head, rows: LabelledRows, device: torch.device) -> Quality:
    with torch.inference_mode():
        return assess(rows, torch.from_numpy(head.weight).to(device), torch.from_numpy(head.bias).to(device))
