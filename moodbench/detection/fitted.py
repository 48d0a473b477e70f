"""What was fitted, as a record and as a file: sealed, in HDF5, without pickles.

=====================  =========  ==================================================================================
attribute ``detector``  JSON       `Fitted.about`, and what the arrays are
``calibration``         (n,) f8    scores of the ID test images
``weight``, ``bias``    f4         the head that blocks are made with; absent where there is none
``told/<i>``                       the arrays of what the fit was told (`moodbench.detection.packing`)
``bank/<part>``                    the ID train rows, where no cache has them and the score compares with each
=====================  =========  ==================================================================================
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.atomic import replace_file
from moodbench.detection.checked import SCHEMA, refuse_foreign, with_words
from moodbench.detection.packing import UnpackableError, pack, unpack
from moodbench.errors import CacheError
from moodbench.features.seal import BLOCK, Seal, put_seal
from moodbench.scores.machinery.answers import Answer

_COMPRESSED = 1 << 20
"""Bytes from which an array is compressed: histograms are mostly zeros."""


@dataclass(frozen=True)
class Fitted:
    """A score fitted on one model and benchmark, with what its verdicts are held against.

    Attributes
    ----------
    about : dict
        ``model``, ``benchmark``, ``score``, ``params`` (those of the fit, a mapping), ``description`` (as results write
        them), ``cost``, ``inputs`` (what it was made from: compared to tell whether it is stale), ``train`` (numbers of
        `moodbench.scores.base.Train`), ``logits`` and ``recompute`` and ``columns`` (how a row's logits come about),
        ``network`` (provenance of the features), ``bank_rows``, ``remarks``.
    calibration : (n,) float64
    weight, bias : (C, D) and (C,) float32, or None
    answers : sequence of Answer
        What the fit was told.
    bank : mapping of str to array
        ID train rows that lie in no cache.
    """

    about: dict[str, Any]
    calibration: NDArray[np.float64]
    weight: NDArray[np.float32] | None
    bias: NDArray[np.float32] | None
    answers: Sequence[Answer] = field(repr=False)
    bank: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What it was made from."""
        inputs: Mapping[str, Any] = self.about["inputs"]
        return inputs


def write_fitted(file: Path, fitted: Fitted) -> None:
    """Write the file, whole or not at all; equal fits give equal bytes.

    Raises
    ------
    UnpackableError
        The fit was told something that is no plain value, by a statistic of somebody's own.
    CacheError
        The file system refuses.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    told = [[list(one.asked), pack(one.value, arrays)] for one in fitted.answers]
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="earliest", userblock_size=BLOCK) as h5:
        h5.attrs["moodbench_schema"] = SCHEMA
        text = json.dumps({"about": fitted.about, "told": told}, sort_keys=True).encode()
        h5["detector"] = np.frombuffer(text, np.uint8)
        h5["calibration"] = fitted.calibration
        if fitted.weight is not None:
            h5["weight"], h5["bias"] = fitted.weight, fitted.bias
        for number, array in enumerate(arrays):
            squeezed = {"compression": "gzip", "compression_opts": 1} if array.nbytes > _COMPRESSED else {}
            h5.create_dataset(f"told/{number}", data=array, **squeezed)
        for name, array in fitted.bank.items():
            h5[f"bank/{name}"] = array
    put_seal(memory)
    try:
        replace_file(file, memory.getbuffer())
    except OSError as error:
        raise CacheError(f"the detector cannot be written: {error.strerror}", file=file, fix="make room") from None


def read_fitted(file: Path, device: torch.device | None = None) -> Fitted:
    """Return what the file holds, with the tensors of the fit on `device`.

    Raises
    ------
    CacheError
        It is missing, none of ours, of another schema, or was changed after it was written.
    """
    found: list[Fitted] = []
    with_words(file, lambda h5, seal: found.append(_collect(h5, seal, device or torch.device("cpu"))))
    return found[0]


def _collect(h5: Any, seal: Seal | None, device: torch.device) -> Fitted:
    refuse_foreign(h5, seal)
    said = json.loads(h5["detector"][:].tobytes())
    arrays = [h5[f"told/{number}"][()] for number in range(len(h5["told"]) if "told" in h5 else 0)]
    answers = [Answer(tuple(asked), unpack(value, arrays, device)) for asked, value in said["told"]]
    weight, bias = (h5[name][:] if name in h5 else None for name in ("weight", "bias"))
    bank = {name: h5["bank"][name][:] for name in h5["bank"]} if "bank" in h5 else {}
    return Fitted(dict(said["about"]), h5["calibration"][:], weight, bias, answers, bank)


__all__ = ["Fitted", "UnpackableError", "read_fitted", "write_fitted"]
