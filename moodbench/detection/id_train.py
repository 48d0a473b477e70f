"""The ID train rows of a detector, where they are still cached: a bank to compare with, and evidence to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.catalog import BenchmarkSpec
from moodbench.detection.fitted import Fitted
from moodbench.devices import arithmetic
from moodbench.errors import CacheError, CacheMismatchError
from moodbench.evaluation.caches import open_caches
from moodbench.evaluation.engine import BLOCK, Engine
from moodbench.evaluation.protocols import fitted_on
from moodbench.features.reader import RowReader
from moodbench.progress import SILENT, Progress
from moodbench.scores.block import Block
from moodbench.workspace import ModelName, Workspace

ROUNDING = 1e-5
"""Features that differ by this share of their length are the same: batches round differently, pictures differ more."""

SURELY_LESS = 0.9999
"""Pairs with a smaller cosine are not looked at."""


@dataclass(frozen=True)
class Neighbour:
    """An ID train image that is near.

    Attributes
    ----------
    image : str
        Its id within the dataset.
    class_name : str or None
        Its class, where that has a name.
    cosine : float
        Of the features; a float32 as the shortest decimal that it is.
    identical : bool
        Its features are the same, up to rounding: to the network it is the same picture.
    """

    image: str
    class_name: str | None
    cosine: float
    identical: bool = False


def open_engine(
    space: Workspace,
    name: ModelName,
    spec: BenchmarkSpec,
    device: torch.device,
    bank_rows: int | None,
    progress: Progress = SILENT,
) -> Engine:
    """Open the ID caches of a model as ``score`` does, ready to fit.

    Raises
    ------
    CacheError
        One of them is missing or incomplete.
    """
    files = {}
    for dataset in spec.needed:
        file = space.cache_file(name, dataset)
        if not file.exists():
            raise CacheError(
                f"the cache of '{name}' on '{dataset}' is gone, and the detector needs it",
                file=file,
                fix="make it again with the same moodbench extract",
            )
        files[dataset] = file
    caches = open_caches(files, spec, space.head_file(name), own_head=name.head is None)
    make = partial(Engine, device=device, block=BLOCK, bank_rows=bank_rows, progress=progress)
    return make(fitted_on(spec, make(caches).settle_classes()))


class IdTrain:
    """The rows, opened when they are first asked for.

    Parameters
    ----------
    fitted : callable
        Returns the detector's `Fitted`: its rows must be the ones that it was fitted on.
    make : callable
        Opens the engine.
    threads : int, optional
    """

    def __init__(self, fitted: Fitted, make: Callable[[], Engine], threads: int | None = None) -> None:
        self._fitted, self._make, self._threads = fitted, make, threads

    @cached_property
    def _engine(self) -> Engine:
        engine = self._make()
        reader = engine.caches.train
        if self._fitted.inputs["contents"].get(reader.file.stem) != reader.fingerprint:
            raise CacheMismatchError(
                "the ID train rows are others than the detector was fitted on",
                file=reader.file,
                fix="fit it again: moodbench score, then moodbench detect",
            )
        return engine

    def bank(self) -> Iterable[Block]:
        """Start a walk over the rows."""
        yield from self._engine.train.bank()

    def nearest(self, features: NDArray[np.float32], count: int) -> list[list[Neighbour]]:
        """Return the ID train images nearest to each row by the cosine of features, nearest first.

        Parameters
        ----------
        features : (N, D) float32
        count : int

        Raises
        ------
        CacheError
            The cache of ID train is gone, or is another.
        """
        engine = self._engine
        reader = engine.caches.train
        best = cosine = torch.empty(0)
        with arithmetic(self._threads), torch.inference_mode():
            given = torch.from_numpy(features).to(engine.device)
            rows = _unit(given)
            best = torch.empty((len(rows), 0), dtype=torch.int64, device=engine.device)
            cosine = torch.empty((len(rows), 0), device=engine.device)
            same: set[tuple[int, int]] = set()
            for block in engine.blocks(reader):
                near = (rows @ _unit(block.features).T).topk(min(count, len(block)), dim=1)
                same |= _twins(given, block, near)
                joined = torch.cat([cosine, near.values], dim=1)
                places = torch.cat([best, near.indices + block.start], dim=1)
                order = joined.sort(dim=1, descending=True, stable=True).indices[:, :count]
                cosine, best = joined.gather(1, order), places.gather(1, order)
        names = self._names
        ids = self._ids
        return [
            [
                Neighbour(ids[row], names.get(ids[row]), min(float(str(value)), 1.0), (image, row) in same)
                for row, value in zip(some, values, strict=True)
            ]
            for image, (some, values) in enumerate(zip(best.tolist(), cosine.cpu().numpy(), strict=True))
        ]

    @cached_property
    def _ids(self) -> list[str]:
        return self._engine.caches.train.ids

    @cached_property
    def _names(self) -> dict[str, str]:
        """Class by image id, where the cache names its classes."""
        reader = RowReader(self._engine.caches.train.file)
        if reader.class_names is None:
            return {}
        known = zip(reader.ids, reader.labels.tolist(), strict=True)
        return {image: reader.class_names[label] for image, label in known if label >= 0}


def _twins(features: Tensor, block: Block, near: Any) -> set[tuple[int, int]]:
    """Return (image, ID train row) of those pairs among the nearest of a block whose features differ by rounding."""
    images, ranks = (near.values > SURELY_LESS).nonzero(as_tuple=True)
    places = near.indices[images, ranks]
    apart = (features[images] - block.features[places]).norm(dim=1)
    equal = apart <= ROUNDING * features[images].norm(dim=1)
    return set(zip(images[equal].tolist(), (places[equal] + block.start).tolist(), strict=True))


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=1)
