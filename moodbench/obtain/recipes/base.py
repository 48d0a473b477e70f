"""The registry of recipes, by which generated datasets are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from moodbench.registry import Registry


@dataclass(frozen=True)
class Drawing:
    """What a recipe drew.

    Attributes
    ----------
    images : int
    note : str or None
        What differs from the published set, in words: kept beside the images and shown to people.
    """

    images: int
    note: str | None = None


class Recipe(Protocol):
    """Draws the images of a dataset. Registered as a function; the same input gives the same bytes everywhere."""

    def __call__(self, target: Path, imagenet_val: Path | None, progress: bool) -> Drawing:
        """Write the images into the empty folder `target`.

        Parameters
        ----------
        target : Path
        imagenet_val : Path or None
            Folder of the ImageNet-1k validation images, sorted into WordNet ids, where it is on this disk.
        progress : bool
        """
        ...


DRAWING_RECIPES: Registry[Recipe] = Registry("recipe", package="moodbench.obtain.recipes")
