"""What `download` brings, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

THERE = "there"
"""The state of what needed nothing."""


@dataclass(frozen=True)
class Asset:
    """A dataset, or the weights of a model, that is there now.

    Attributes
    ----------
    name : str
    kind : {"dataset", "model"}
    state : str
        ``there`` (it was before), ``bundled``, ``features only``, or how it came: ``downloaded``,
        ``unpacked``, ``copied``, ``hard-linked``, ``linked``, ``in place``, ``generated``.
    images, bytes : int or None
        Number of images, and the size of the files.
    path : Path or None
        The folder of the images; of weights, the file.
    note : str or None
        What somebody who uses it must know.
    """

    name: str
    kind: str
    state: str
    images: int | None = None
    bytes: int | None = None
    path: Path | None = None
    note: str | None = None
