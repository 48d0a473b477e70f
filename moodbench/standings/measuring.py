"""Kept row scores → the mean AUROC or FPR95 of pairs of model and score, with errors that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import ResultsError
from moodbench.evaluation.kept import LackingError, kept_params, kept_rows, run_again
from moodbench.evaluation.rows import TestRows
from moodbench.paired import Measured, measure
from moodbench.resampling import Draws, Resampled, strata_of
from moodbench.tables.entrants import Pair
from moodbench.types import MEAN, Result
from moodbench.workspace import Workspace


def pair_of(row: Result) -> Pair:
    """Return the pair whose kept rows belong to a result: of several seeds, with the parameters of the first."""
    return Pair(row.model, row.score, kept_params(row.params))


@dataclass(frozen=True)
class Wanted:
    """What of a benchmark is measured.

    Attributes
    ----------
    benchmark : str
    pairs : sequence of Pair
    group : str
        The OOD group whose mean counts.
    ood : str
        Or a single OOD dataset of it; or class, where each class in turn is ID.
    """

    benchmark: str
    pairs: Sequence[Pair]
    group: str
    ood: str = MEAN

    @property
    def models(self) -> list[str]:
        """The models of the pairs."""
        return list(dict.fromkeys(pair.model for pair in self.pairs))

    def oods(self, tested: TestRows) -> list[str]:
        """Return the OOD datasets that are compared."""
        return tested.of_group(self.group) if self.ood == MEAN else [self.ood]


@dataclass
class Images:
    """The images of all datasets that count, numbered through: a benchmark's are the same ones in every model.

    Attributes
    ----------
    first : dict
        Dataset → number of its first image.
    total : int
    """

    first: dict[str, int] = field(default_factory=dict)
    total: int = 0
    _ids: dict[str, NDArray[np.bytes_]] = field(default_factory=dict)

    def add(self, tested: TestRows, oods: Sequence[str]) -> None:
        """Number the images of one benchmark, as far as they have no number yet."""
        for dataset, ids in tested.images(oods).items():
            known = self._ids.setdefault(dataset, ids)
            if not np.array_equal(known, ids):
                raise ResultsError(
                    f"one benchmark was tested on other images of '{dataset}' than another",
                    fix="score both again, or rank one of them alone with --benchmark",
                )
            if dataset not in self.first:
                self.first[dataset] = self.total
                self.total += len(ids)


Read = Callable[[str, str], TestRows]
"""A benchmark and a model → its row scores; a `LackingError` where there are none."""


def measured(
    space: Workspace, wanted: Sequence[Wanted], metric: str, read: Read | None = None
) -> list[dict[Pair, Measured]]:
    """Return for each benchmark the mean of every pair, all of them with errors of the same images.

    Parameters
    ----------
    wanted : sequence of Wanted
    metric : {"auroc", "fpr95"}
    read : callable, optional
        Instead of reading the row scores each time: for who asks several times about the same models.

    Raises
    ------
    ResultsError
        Row scores are missing or stale, or two models were tested on other images.
    """
    images = Images()
    read = read or partial(kept_rows, space)
    firsts = [_first(space, one, read) for one in wanted]
    for one, first in zip(wanted, firsts, strict=True):
        images.add(first, one.oods(first))
    sides = [
        side
        for one, first in zip(wanted, firsts, strict=True)
        for side in first.sides(one.oods(first), images.first, images.total)
    ]
    draws = Draws(strata_of(sides), images.total) if metric == "fpr95" else None
    return [_of_benchmark(space, one, first, images, draws, read) for one, first in zip(wanted, firsts, strict=True)]


def _first(space: Workspace, wanted: Wanted, read: Read) -> TestRows:
    """Return the rows of the first model that has some."""
    lacking: dict[str, str] = {}
    for model in wanted.models:
        try:
            return read(wanted.benchmark, model)
        except LackingError as error:
            lacking[model] = str(error)
    raise _run_again(space, wanted, lacking)


def _run_again(space: Workspace, wanted: Wanted, lacking: Mapping[str, str]) -> ResultsError:
    made = ((pair.score, pair.params) for pair in wanted.pairs if pair.model in lacking)
    return run_again(space, wanted.benchmark, lacking, made)


def _of_benchmark(
    space: Workspace, wanted: Wanted, first: TestRows, images: Images, draws: Draws | None, read: Read
) -> dict[Pair, Measured]:
    lacking: dict[str, str] = {}
    found: dict[Pair, Measured] = {}
    for tested in _tested(wanted, first, lacking, read):
        pairs = [pair for pair in wanted.pairs if pair.model == tested.model]
        measure_some = _aurocs if draws is None else _fpr95s
        its = dict(measure_some(tested, pairs, wanted.oods(tested), images, draws))
        missing = dict.fromkeys(pair.score for pair in pairs if pair not in its)
        if missing:
            lacking[tested.model] = f"there are none of {', '.join(missing)}"
        found |= its
    if lacking:
        raise _run_again(space, wanted, lacking)
    return found


def _tested(wanted: Wanted, first: TestRows, lacking: dict[str, str], read: Read) -> Iterator[TestRows]:
    """Yield the rows of each model; say in `lacking` why there are none.

    Two models that were tested on other images raise a `ResultsError`, unless one of them lacks every row.
    """
    for model in wanted.models:
        try:
            tested = first if model == first.model else read(wanted.benchmark, model)
        except LackingError as error:
            lacking[model] = str(error)
            continue
        if tested is not first:
            first.refuse_others(tested, wanted.oods(first))
        yield tested


def _aurocs(
    tested: TestRows, pairs: Sequence[Pair], oods: Sequence[str], images: Images, draws: object
) -> Iterable[tuple[Pair, Measured]]:
    for pair in pairs:
        samples = tested.samples(pair.score, pair.params, oods, images.first)
        if samples is not None:
            yield pair, measure(*samples, images.total)


def _fpr95s(
    tested: TestRows, pairs: Sequence[Pair], oods: Sequence[str], images: Images, draws: Draws | None
) -> Iterable[tuple[Pair, Measured]]:
    assert draws is not None  # whoever wants an FPR95 gives them
    some: dict[Pair, Resampled] = {}
    for pair in pairs:
        samples = tested.samples(pair.score, pair.params, oods, images.first)
        if samples is not None:
            some[pair] = Resampled(*samples)
    for counts in draws:
        for one in some.values():
            one.add(counts)
    for pair, one in some.items():
        yield pair, one.measured()
