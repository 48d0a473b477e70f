"""NINCO's unit tests: 17 sets of 400 synthetic pictures that any detector should find easy.

The choice of the 400 of 50,000 photographs follows from the test's name and equals the published one, and so do the
file names. Sizes are those of the photographs, and even numbers become PNG, odd ones JPEG (Pillow's default quality).
The published pictures cannot be made again bit by bit, because their noise had no seed; ours has one, so that they are
the same on every run.

References
----------
Bitterwolf, Müller and Hein, "In or Out? Fixing ImageNet Out-of-Distribution Detection Evaluation", ICML 2023;
github.com/j-cb/NINCO.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import MT19937, RandomState, SeedSequence
from PIL import Image

from moodbench.obtain.recipes.base import DRAWING_RECIPES, Drawing
from moodbench.obtain.recipes.canvas import PHOTOGRAPHS, STAND_IN, VALIDATION_IMAGES, Canvases, canvases
from moodbench.obtain.recipes.paint import FROM_PHOTO, PAINTERS, to_bytes
from moodbench.progress import bar

IMAGES = 400
"""Pictures of each test."""


@dataclass(frozen=True)
class UnitTest:
    """The recipe of one test; `test` is its published name."""

    test: str

    def __call__(self, target: Path, imagenet_val: Path | None, progress: bool) -> Drawing:
        """Draw the 400 pictures; see `moodbench.obtain.recipes.base.Recipe`."""
        return self.draw(target, canvases(imagenet_val), select(self.test), progress)

    def draw(self, target: Path, photographs: Canvases, indices: list[int], progress: bool = False) -> Drawing:
        """Draw a picture for each photograph of `indices`."""
        with bar(self.test, len(indices), shown=progress, unit="image", leave=False) as drawn:
            for number, index in enumerate(indices):
                rng = generator(self.test, index)
                photo = partial(photographs.photo, index, rng)
                pixels = PAINTERS[self.test](rng, photographs.shape(index), photo)
                Image.fromarray(to_bytes(pixels)).save(target / file_name(self.test, number, index))
                drawn.update()
        return Drawing(len(indices), self._note(photographs.stand_in))

    def _note(self, stand_in: str | None) -> str:
        note = "drawn with the published recipe and choice of photographs, but other noise than the published pictures"
        if stand_in is None:
            return note
        instead = f"every picture has {STAND_IN[1]} x {STAND_IN[0]} pixels"
        if self.test in FROM_PHOTO:
            instead += f", those of {len(PHOTOGRAPHS)} photographs of scikit-image and scikit-learn"
        return f"{note}; {stand_in}, so {instead}"


def seed(test: str) -> int:
    """Return the published seed of a test: the decimal codes of its letters, one after another."""
    return int("".join(str(ord(letter)) for letter in test))


def select(test: str) -> list[int]:
    """Return the 400 indices among the validation images of ImageNet-1k that the test was published with, sorted."""
    rng = RandomState(MT19937(SeedSequence(seed(test))))
    chosen: list[int] = np.sort(rng.choice(VALIDATION_IMAGES, IMAGES, replace=False)).tolist()
    return chosen


def generator(test: str, index: int) -> RandomState:
    """Return the generator of one picture's noise (ours; the published pictures have none that can be repeated).

    A `RandomState`, because NumPy has frozen its streams.
    """
    return RandomState(MT19937(SeedSequence((seed(test), index))))


def file_name(test: str, number: int, index: int) -> str:
    """Return the published name of picture `number` (from 0), made after photograph `index`."""
    return f"{test}_{number:03d}_{test}_{index:05d}.{'jpg' if index % 2 else 'png'}"


for _test in PAINTERS:
    DRAWING_RECIPES.register(f"ninco_{_test}")(UnitTest(_test))
