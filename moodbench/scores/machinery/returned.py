"""What a score returned for a block of rows → numbers; whatever is not one real number a row is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.errors import ScoreError

_REAL = "fiub"
"""Kinds of NumPy's numbers that are real: decimals, whole numbers with and without sign, truth values."""


def numbers(found: object, rows: int, method: str = "score") -> NDArray[np.float64]:
    """Return what a method of a score returned for a block of `rows` rows as (rows,) float64.

    Tensors and NumPy arrays are taken, of any real type. Nothing is broadcast: one number for all rows would rank none.

    Raises
    ------
    ScoreError
        It is something else, or has another shape or type.
    """
    if isinstance(found, torch.Tensor):
        if not found.is_complex() and tuple(found.shape) == (rows,):
            return found.detach().double().cpu().numpy()
    elif isinstance(found, np.ndarray) and found.dtype.kind in _REAL and found.shape == (rows,) and not _hides(found):
        return found.astype(np.float64)
    raise ScoreError(
        f"{method}() returned {_shown(found)} for {rows} rows; it must be ({rows},) real numbers, one a row"
    )


def _hides(found: NDArray[Any]) -> bool:
    """Say whether an array has entries that count as absent: they would be ranked all the same."""
    return isinstance(found, np.ma.MaskedArray)


def _shown(found: object) -> str:
    if isinstance(found, torch.Tensor):
        return f"a tensor of shape {tuple(found.shape)} and type {str(found.dtype).removeprefix('torch.')}"
    if isinstance(found, np.ndarray):
        kind = "a masked array" if _hides(found) else "an array"
        return f"{kind} of shape {found.shape} and type {found.dtype}"
    return f"a value of type {type(found).__name__}"
