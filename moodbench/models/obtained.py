"""A file with weights that is on this disk: what fetching says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Weights:
    """A file with weights that is on this disk now.

    Attributes
    ----------
    file : Path or None
    bytes : int or None
    sha256 : str or None
        In hex, of the file as it is.
    already : bool
        It was there before.
    head : Weights or None
        The file of the classifier, where it has one of its own.
    """

    file: Path | None
    bytes: int | None
    sha256: str | None
    already: bool
    head: Weights | None = None
