"""Transforms of others: called as they are, and looked at from outside for what a cache must note of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from moodbench.errors import DataError, ModelError

Work = Callable[[Image.Image], Any]
"""RGB picture → (3, side, side) numbers."""

_AGAIN = 8
"""How often one picture is prepared to see whether chance has a part: of flips every other one, 7 agree in 1 of 128."""

_SHAPES = ((300, 200), (200, 300), (640, 480), (64, 64))
"""Of pictures that tell whether all become the same square: width and height."""


@dataclass(frozen=True)
class Foreign:
    """Prepares pictures with somebody else's function. Picklable if that is.

    Attributes
    ----------
    work : callable
    record : dict
        What a cache notes: ``kind``, ``size``, and whatever tells one such function from another.
    """

    work: Work
    record: dict[str, Any]

    def __call__(self, image: Image.Image) -> Tensor:
        """Return (3, size, size) float32 of an RGB picture.

        Raises
        ------
        DataError
            The function cannot do that with this picture.
        """
        try:
            made = _as_tensor(self.work(image))
        except Exception as error:  # whatever it cannot cope with in this picture
            raise DataError(
                f"the transform of the model fails on a picture of {image.width} × {image.height}: {one_line(error)}"
            ) from error
        side = self.record["size"]
        if made.shape != (3, side, side):
            raise DataError(
                f"the transform of the model makes {tuple(made.shape)} of a picture of {image.width} × {image.height}, "
                f"and {(3, side, side)} of others"
            )
        return made


def measured(work: Work, name: str, record: Mapping[str, Any]) -> Foreign:
    """Return the transform with the side of its squares in the record, found out by trying it.

    Raises
    ------
    ModelError
        It fails, makes something else than (3, side, side) numbers, pictures of several sizes, or other numbers of the
        same picture each time.
    """
    fix = "let it return a (3, side, side) tensor, of one side for every picture: resize, and cut out the middle"
    sides = set()
    for width, height in _SHAPES:
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        try:
            made = _as_tensor(work(Image.fromarray(noise)))
        except Exception as error:  # it is somebody else's
            raise ModelError(f"the transform of '{name}' fails on a picture: {one_line(error)}", fix=fix) from error
        if made.ndim != 3 or made.shape[0] != 3 or made.shape[1] != made.shape[2]:
            raise ModelError(
                f"the transform of '{name}' makes {tuple(made.shape)} of a picture of {width} × {height}; "
                "only squares of three colours are supported",
                fix=fix,
            )
        sides.add(made.shape[1])
        last, before = Image.fromarray(noise), made
    if len(sides) > 1:
        raise ModelError(f"the transform of '{name}' makes pictures of {len(sides)} sizes: {sorted(sides)}", fix=fix)
    if any(not torch.equal(_as_tensor(work(last.copy())), before) for _ in range(_AGAIN)):
        raise ModelError(
            f"the transform of '{name}' makes other numbers of the same picture each time",
            fix="chance may have no part in features: return the transform of evaluation, without random crops, flips "
            "and colours",
        )
    return Foreign(work, {**record, "size": sides.pop()})


def _as_tensor(made: Any) -> Tensor:
    if not isinstance(made, (Tensor, np.ndarray)):
        raise TypeError(f"it returns a {type(made).__name__}, not a tensor")
    return torch.as_tensor(made).to(torch.float32)


def one_line(error: Exception) -> str:
    """Return what went wrong in somebody else's code, and its kind."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300].rstrip(": ")
