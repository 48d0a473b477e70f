"""Statistics and fitted scores as bytes, for the other processes of the same run.

What every process has of its own is not sent but named: the engine, its readers, and what a fit may know of ID train.
So a memory bank reads the rows itself where it arrives. Nothing here is written to a disk or read from one.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import fields
from typing import Any

import torch

from moodbench.cluster import the_ray
from moodbench.evaluation.engine import Engine
from moodbench.features.reader import RowReader
from moodbench.scores.base import Train


def packed(item: object, engine: Engine | None = None) -> bytes:
    """Return anything as bytes; an engine's own parts by their names, if it is given.

    Raises
    ------
    Exception
        Something in it cannot be sent.
    """
    stream = io.BytesIO()
    _pickler()(stream, engine).dump(item)
    return stream.getvalue()


def unpacked(data: bytes, engine: Engine | None = None) -> Any:
    """Return what was packed, with the parts of the engine that is here in the place of the other's."""
    return _Unpickler(io.BytesIO(data), engine).load()


def _pickler() -> Any:
    """Return the class of picklers: Ray's, which takes functions without a name too."""
    the_ray()
    from ray import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self, stream: io.BytesIO, engine: Engine | None) -> None:
            super().__init__(stream, protocol=5)  # type: ignore[no-untyped-call, unused-ignore]
            self._engine = engine

        def persistent_id(self, item: object) -> str | None:
            if self._engine is None or not isinstance(item, Engine | RowReader | Train):
                return None
            return next((name for name, own in _parts(self._engine).items() if own is item), None)

        def reducer_override(self, item: Any) -> Any:
            if isinstance(item, torch.Tensor) and _plain(item):
                # its own numbers alone: torch would write all of the memory that it is a view of
                return _tensor, (item.detach().cpu().contiguous().numpy().copy(), str(item.device))
            if isinstance(item, Train):  # what fits shared is no use where nothing is fitted
                return _train, ({f.name: getattr(item, f.name) for f in fields(item) if f.name != "_memo"},)
            return super().reducer_override(item)  # type: ignore[no-untyped-call, unused-ignore]

    return Pickler


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, engine: Engine | None) -> None:
        super().__init__(stream)
        self._engine = engine

    def persistent_load(self, name: str) -> object:
        """Return the part of the engine here that has this name."""
        assert self._engine is not None
        return _parts(self._engine)[name]


def _parts(engine: Engine) -> dict[str, object]:
    return {"engine": engine, "train rows": engine.caches.train, "train": engine.train}


def _plain(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) is torch.Tensor
        and tensor.layout == torch.strided
        and tensor.dtype != torch.bfloat16
        and not tensor.requires_grad
    )


def _tensor(values: Any, device: str) -> torch.Tensor:
    return torch.from_numpy(values).to(device)


def _train(values: dict[str, Any]) -> Train:
    return Train(**values)
