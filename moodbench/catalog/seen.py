"""What a model has seen besides its pretext task: columns of a table are comparable where this is equal."""

from __future__ import annotations

import re
from dataclasses import dataclass

from moodbench.catalog.model import ModelSpec

SIZES = (("tiny", 12.0), ("small", 40.0), ("base", 130.0), ("large", 500.0), ("giant", float("inf")))
"""Names of sizes, and below how many millions of parameters they end."""


@dataclass(frozen=True)
class Exposure:
    """What went into a model; None where nobody says.

    Attributes
    ----------
    labels : str or None
        Those besides the labels of the head: ``none``, or which.
    data : str or None
        What the backbone was pretrained on.
    text : bool or None
        Whether pairs of pictures and text had a part in it.
    size : str or None
        One of `SIZES`, by the number of parameters.
    """

    labels: str | None = None
    data: str | None = None
    text: bool | None = None
    size: str | None = None


def seen_by(spec: ModelSpec) -> Exposure:
    """Return what a model has seen. An entry that names neither data nor labels says nothing about text either."""
    says = spec.data is not None or spec.labels_seen is not None or spec.text_supervision
    return Exposure(spec.labels_beyond, spec.data, spec.text_supervision if says else None, _size_of(spec))


def _size_of(spec: ModelSpec) -> str | None:
    """Return the name of a model's size, one of `SIZES`."""
    if spec.params is None:
        return None
    return next(name for name, limit in SIZES if spec.params < limit)


def pixels_of(spec: ModelSpec) -> int | None:
    """Return the side of the pictures, where the entry or the name of its architecture says it."""
    said = spec.image.get("size") or spec.args.get("img_size")
    if isinstance(said, int):
        return said
    named = re.search(r"[_-](\d{3})(?:[_-]|$)", re.split(r"[./]", spec.architecture)[0])
    return None if named is None else int(named[1])
